//! Pickles written by hand.

use super::*;

fn run(code: &[u8]) -> Result<(Value, Objects), Problem> {
    read(code)
}

#[test]
fn integers_of_every_width() {
    let cases: [(&[u8], i64); 8] = [
        (b"K\xFF.", 255),
        (b"M\xFF\xFF.", 65535),
        (b"J\xFF\xFF\xFF\xFF.", -1),
        (b"\x8A\x00.", 0),
        (b"\x8A\x01\xFF.", -1),
        (b"\x8A\x02\xFF\x00.", 255),
        (b"\x8A\x08\x00\x00\x00\x00\x00\x00\x00\x80.", i64::MIN),
        (b"\x8B\x02\x00\x00\x00\x00\x80.", -32768),
    ];
    for (code, expected) in cases {
        let (value, _) = run(code).unwrap();
        assert!(matches!(value, Value::Int(integer) if integer == expected), "{value:?}, not {expected}");
    }
}

#[test]
fn a_dict_can_be_filled_after_it_was_memoized() {
    // {'a': [1, 2], 'b': the same list}, as protocol 4 writes it.
    let code = b"\x80\x04\x95\x16\0\0\0\0\0\0\0}\x94(\x8C\x01a\x94]\x94(K\x01K\x02e\x8C\x01b\x94h\x02u.";
    let (value, objects) = run(code).unwrap();
    let entries = objects.dict(value).unwrap();
    let keys: Vec<_> = entries.iter().map(|&(key, _)| objects.text(key).unwrap()).collect();
    assert_eq!(keys, ["a", "b"]);
    for &(_, list) in entries {
        assert!(matches!(objects.items(list), Some([Value::Int(1), Value::Int(2)])));
    }
}

#[test]
fn broken_pickles_are_errors() {
    let cases: [&[u8]; 14] = [
        b"",
        b"K",
        b".",
        b"(.",
        b"t.",
        b"K\x01(\x85.",
        b"h\x07.",
        b"\x80\x09N.",
        b"X\xFF\xFF\xFF\xFFabc.",
        b"\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFabc.",
        b"NK\x01a.",
        b"}(K\x01u.",
        b"NQ.",
        b"I1\n.",
    ];
    for code in cases {
        let problem = run(code).unwrap_err();
        assert!(matches!(problem, Problem::Damaged(_)), "{}: {problem}", code.escape_ascii());
    }
}

#[test]
fn deep_nesting_is_harmless() {
    let mut code = vec![b')'];
    code.extend([0x85].repeat(400_000));
    code.push(b'.');
    drop(run(&code).unwrap());
    code.splice(0..0, [b')'].repeat(200_000));
    run(&code).unwrap_err();
}

#[test]
fn copies_are_bounded() {
    // One list of a thousand pairs, made into a dict a thousand times.
    let mut code = b"](".to_vec();
    code.extend(b"NN\x86".repeat(1000));
    code.extend(b"e\x85q\x01ccollections\nOrderedDict\nq\x02");
    code.extend(b"h\x02h\x01R".repeat(1000));
    code.push(b'.');
    assert!(run(&code).unwrap_err().to_string().contains("over and over"));
}
