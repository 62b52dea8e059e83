//! Tables whose columns leave a choice: what is read by itself, what is refused, and what an option decides.

use visage_data::Label::{self, Absent, Present, Unknown};
use visage_data::{Combine, DataError, Dataset, Split, TableFault, TableOptions};

use crate::fixtures::{encoded, folder, text};

fn open(content: &str, options: &TableOptions) -> Result<Dataset, (u64, TableFault)> {
    let (_home, path) = folder(&[text("labels.csv", content)]);
    Dataset::open_with(&path, options).map_err(|error| match error {
        DataError::Table { line, fault, .. } => (line, fault),
        other => panic!("{other}"),
    })
}

fn read(content: &str) -> Dataset {
    open(content, &TableOptions::default()).unwrap()
}

fn fault(content: &str) -> String {
    open(content, &TableOptions::default()).unwrap_err().1.to_string()
}

/// Image, split and labels of each row.
fn rows(dataset: &Dataset) -> Vec<(&str, Option<Split>, Vec<Label>)> {
    dataset.samples().iter().map(|sample| (sample.image.as_str(), sample.split, sample.labels.to_vec())).collect()
}

fn options(change: impl FnOnce(&mut TableOptions)) -> TableOptions {
    let mut options = TableOptions::default();
    change(&mut options);
    options
}

#[test]
fn splits_are_found_by_name_and_by_content() {
    let (train, validation, test) = (Some(Split::Train), Some(Split::Validation), Some(Split::Test));
    for (header, values, splits) in [
        ("is_valid", ["False", "True", "False"], [train, validation, train]),
        ("is_test", ["0", "1", "0"], [train, test, train]),
        ("set", ["train", "dev", "test"], [train, validation, test]),
        ("subset", ["training", "eval", "testing"], [train, validation, test]),
        ("partition", ["0", "1", "2"], [train, validation, test]),
        ("fold", ["train", "valid", ""], [train, validation, None]),
        ("whatever", ["train", "val", "train"], [train, validation, train]),
    ] {
        let [a, b, c] = values;
        let dataset = read(&format!("image,{header},S\na.jpg,{a},1\nb.jpg,{b},0\nc.jpg,{c},1\n"));
        assert_eq!(dataset.attributes(), ["S"], "{header}");
        assert!(dataset.categories().is_empty(), "{header}");
        let found: Vec<_> = dataset.samples().iter().map(|sample| sample.split).collect();
        assert_eq!(found, splits, "{header}");
        assert!(dataset.understood().contains(&format!("splits in `{header}`")), "{}", dataset.understood());
    }
    let both = read("image,is_valid,is_test,S\na.jpg,0,0,1\nb.jpg,1,0,1\nc.jpg,0,1,0\n");
    assert_eq!(both.samples().iter().map(|s| s.split).collect::<Vec<_>>(), [train, validation, test]);
    let twice = open("image,is_valid,is_test,S\na.jpg,1,1,1\n", &TableOptions::default()).unwrap_err();
    assert_eq!(twice, (2, TableFault::TwoSplits { column: "is_test".into() }));
    // A column of this name that holds other text is a category.
    assert_eq!(read("image,set,S\na.jpg,red,1\nb.jpg,blue,0\n").categories(), ["set"]);
}

#[test]
fn numbers_that_may_be_splits_are_refused_until_their_meaning_is_given() {
    let table = "image,fold,S\na.jpg,0,1\nb.jpg,1,0\nc.jpg,2,1\nd.jpg,3,1\n";
    let message = fault(table);
    for part in ["`fold`", "0, 1, 2, 3", "--split-values", "--ignore", "--attributes"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(fault("image,set,S\na.jpg,0,1\nb.jpg,1,0\n").contains("`set`"));
    let values = [("0", Split::Train), ("1", Split::Train), ("2", Split::Validation), ("3", Split::Test)];
    let chosen = options(|o| o.split_values = values.map(|(value, split)| (value.to_owned(), split)).into());
    let splits: Vec<_> = open(table, &chosen).unwrap().samples().iter().map(|sample| sample.split.unwrap()).collect();
    assert_eq!(splits, values.map(|(_, split)| split));
    let ignored = open(table, &options(|o| o.ignore = vec!["fold".to_owned()])).unwrap();
    assert!(!ignored.has_splits() && ignored.attributes() == ["S"]);
    let missing = open(table, &options(|o| o.ignore = vec!["folds".to_owned()])).unwrap_err().1;
    assert!(matches!(missing, TableFault::NoColumn { option: "--ignore", column, .. } if column == "folds"));
}

#[test]
fn the_image_column_is_the_one_that_holds_images() {
    for table in [
        "Unnamed: 0,image_name,S\n0,a.jpg,1\n1,b.jpg,0\n",
        "id,photo,S\n17,a.jpg,1\n18,b.jpg,0\n",
        ",portrait,S\n0,a.jpg,1\n1,b.jpg,0\n",
        "file,portrait,S\n8,a.jpg,1\n9,b.jpg,0\n",
    ] {
        let dataset = read(table);
        assert_eq!(dataset.attributes(), ["S"], "{table}");
        assert_eq!(rows(&dataset), [("a.jpg", None, vec![Present]), ("b.jpg", None, vec![Absent])], "{table}");
        assert!(dataset.understood().contains("images in `"), "{}", dataset.understood());
    }
    assert_eq!(read("name,S\n000001,1\n000002,0\n").samples()[1].image, "000002");
    assert!(fault("A,B\n1,1\n0,0\n").contains("--image-column"), "labels are no names of images");
    let patients = read("Image Index,Patient ID,S\na.png,17,1\nb.png,17,0\n");
    assert_eq!((patients.attributes(), patients.samples()[1].identity.as_deref()), (&["S".to_owned()][..], Some("17")));
    assert!(patients.understood().contains("people in `Patient ID`"), "{}", patients.understood());
    let two = "before,after,S\na.jpg,b.jpg,1\n";
    assert!(fault(two).contains("--image-column"));
    let chosen = open(two, &options(|o| o.image_column = Some("after".to_owned()))).unwrap();
    assert_eq!((chosen.samples()[0].image.as_str(), chosen.categories()), ("b.jpg", &["before".to_owned()][..]));
}

#[test]
fn labels_in_one_column_become_attributes() {
    let named = |separator: Option<&str>| {
        options(|o| {
            o.label_column = Some("tags".to_owned());
            o.separator = separator.map(str::to_owned);
        })
    };
    let expected = [
        ("a.jpg", None, vec![Present, Present]),
        ("b.jpg", None, vec![Absent, Present]),
        ("c.jpg", None, vec![Unknown, Unknown]),
    ];
    for (list, separator) in [
        ("hat|smile", None),
        ("smile;hat", None),
        ("\"hat, smile\"", None),
        ("\"['hat', 'smile']\"", None),
        (r#""[""smile"", ""hat""]""#, None),
        ("hat smile", Some(" ")),
        ("hat/smile", Some("/")),
    ] {
        let single = if list.contains('[') { "['smile']" } else { "smile" };
        let table = format!("image,tags\na.jpg,{list}\nb.jpg,{single}\nc.jpg,\n");
        let dataset = open(&table, &named(separator)).unwrap();
        assert_eq!(dataset.attributes(), ["hat", "smile"], "{list}");
        assert_eq!(rows(&dataset), expected, "{list}");
        assert!(dataset.understood().contains("blank in 1 rows"), "{}", dataset.understood());
    }
    // Lists in brackets are labels without being named; text without brackets is not.
    assert_eq!(read("image,tags\na.jpg,\"['x']\"\nb.jpg,\"[]\"\n").samples()[1].labels[..], [Absent]);
    assert!(fault("image,tags\na.jpg,hat|smile\n").contains("--label-column"));
    let unclear = open("image,tags\na.jpg,hat smile\n", &named(None)).unwrap_err().1;
    assert!(unclear.to_string().contains("--separator"), "{unclear}");
}

#[test]
fn a_vocabulary_and_a_least_count_decide_the_labels() {
    let table = "image,tags\na.jpg,x|y\nb.jpg,x\nc.jpg,x|z\n";
    let mut chosen = options(|o| {
        o.label_column = Some("tags".to_owned());
        o.min_count = 2;
    });
    let dataset = open(table, &chosen).unwrap();
    assert_eq!(dataset.attributes(), ["x"]);
    assert!(dataset.understood().contains("y (1), z (1)"), "{}", dataset.understood());
    chosen.min_count = 0;
    chosen.vocabulary = ["z", "x", "never", "y"].map(str::to_owned).to_vec();
    assert_eq!(open(table, &chosen).unwrap().attributes(), ["z", "x", "never", "y"]);
    chosen.vocabulary.pop();
    let fault = open(table, &chosen).unwrap_err();
    assert_eq!(fault, (2, TableFault::UnknownLabel { column: "tags".into(), label: "y".into() }));
}

#[test]
fn words_become_one_attribute_each_and_numbers_never_do_by_themselves() {
    let table = "file,age,race\na.jpg,1,Black\nb.jpg,0,East Asian\nc.jpg,1,\n";
    let dataset = open(table, &options(|o| o.one_hot = vec!["race".to_owned()])).unwrap();
    assert_eq!(dataset.attributes(), ["age", "race=Black", "race=East Asian"]);
    assert_eq!(dataset.samples()[0].labels[..], [Present, Present, Absent]);
    assert_eq!(dataset.samples()[2].labels[..], [Present, Unknown, Unknown]);
    let chosen = options(|o| {
        o.one_hot = vec!["race".to_owned()];
        o.attributes = vec!["race=Black".to_owned()];
    });
    assert_eq!(open(table, &chosen).unwrap().attributes(), ["race=Black"]);
    let numbers = "image,grade\na.jpg,3\nb.jpg,1\n";
    let message = fault(numbers);
    assert!(message.contains("`3` in column `grade`") && message.contains("--one-hot"), "{message}");
    let classes = open(numbers, &options(|o| o.one_hot = vec!["grade".to_owned()])).unwrap();
    assert_eq!(classes.attributes(), ["grade=1", "grade=3"]);
}

#[test]
fn minus_one_is_uncertain_where_the_table_also_holds_zero() {
    // CheXpert: a column may hold no 0 although the table does.
    let table = "Path,Edema,Fracture\na.jpg,1.0,\nb.jpg,-1.0,-1.0\nc.jpg,0.0,1.0\n";
    let (line, mixed) = open(table, &TableOptions::default()).unwrap_err();
    assert!(line == 4 && mixed.to_string().contains("--uncertain"), "{mixed}");
    for uncertain in [Unknown, Present, Absent] {
        let dataset = open(table, &options(|o| o.uncertain = Some(uncertain))).unwrap();
        assert_eq!(dataset.samples()[1].labels[..], [uncertain; 2]);
        assert_eq!(dataset.samples()[2].labels[..], [Absent, Present]);
    }
    let signs = open("image,S\na.jpg,1\nb.jpg,-1\n", &options(|o| o.uncertain = Some(Unknown))).unwrap();
    assert_eq!(signs.samples()[1].labels[..], [Absent], "a table of -1 and 1 stays as it is");
}

#[test]
fn several_rows_of_an_image_are_combined() {
    let table = "image,A,B,C\na.jpg,1,0,\na.jpg,0,0,1\na.jpg,1,0,\nb.jpg,1,1,0\nb.jpg,0,1,0\n";
    assert!(fault(table).contains("--combine"));
    for (combine, a, b) in [
        (Combine::Any, [Present, Absent, Present], [Present, Present, Absent]),
        (Combine::Majority, [Present, Absent, Present], [Unknown, Present, Absent]),
        (Combine::Unknown, [Unknown, Absent, Present], [Unknown, Present, Absent]),
    ] {
        let dataset = open(table, &options(|o| o.combine = Some(combine))).unwrap();
        assert_eq!(rows(&dataset), [("a.jpg", None, a.to_vec()), ("b.jpg", None, b.to_vec())], "{combine:?}");
        assert!(dataset.understood().contains("5 rows of 2 images"), "{}", dataset.understood());
        assert!(dataset.understood().contains("in 2 of 5 labels (40.0 %)"), "{}", dataset.understood());
    }
    let splits = "image,split,A\na.jpg,train,1\na.jpg,test,1\n";
    let fault = open(splits, &options(|o| o.combine = Some(Combine::Any))).unwrap_err();
    assert_eq!(fault, (3, TableFault::RepeatedInSplits { image: "a.jpg".into(), first_line: 2 }));
}

#[test]
fn a_row_for_each_image_and_label_says_present_or_absent() {
    // Open Images.
    let table = "ImageID,Source,LabelName,Confidence\na,verification,Hat,1\na,verification,Dog,0\nb,machine,Hat,0\n";
    let chosen = options(|o| {
        o.label_column = Some("LabelName".to_owned());
        o.value_column = Some("Confidence".to_owned());
        o.combine = Some(Combine::Any);
    });
    let dataset = open(table, &chosen).unwrap();
    assert_eq!(dataset.attributes(), ["Dog", "Hat"]);
    assert_eq!(rows(&dataset), [("a", None, vec![Absent, Present]), ("b", None, vec![Unknown, Absent])]);
    let machine = open(&table.replace("Hat,1", "Hat,0.75"), &TableOptions { soft_labels: true, ..chosen }).unwrap();
    assert_eq!((machine.samples()[0].probability(1), machine.samples()[0].probability(0)), (0.75, 0.0));
}

#[test]
fn probabilities_are_labels_where_that_is_chosen() {
    let table = "image,A,B\na.jpg,0.75,1\nb.jpg,0.2,\n";
    assert!(fault(table).contains("--soft-labels"));
    let dataset = open(table, &options(|o| o.soft_labels = true)).unwrap();
    assert_eq!(rows(&dataset), [("a.jpg", None, vec![Present, Present]), ("b.jpg", None, vec![Absent, Unknown])]);
    let probabilities = |row: usize| [0, 1].map(|attribute| dataset.samples()[row].probability(attribute));
    assert_eq!(probabilities(0), [0.75, 1.0]);
    assert!(probabilities(1)[0] == 0.2 && probabilities(1)[1].is_nan());
    let votes = "image,A\na.jpg,0.25\na.jpg,1\na.jpg,0.75\n";
    let chosen = options(|o| {
        o.soft_labels = true;
        o.combine = Some(Combine::Majority);
    });
    let mean = open(votes, &chosen).unwrap();
    assert_eq!((mean.samples()[0].probability(0), mean.samples()[0].labels[0]), (2.0 / 3.0, Present));
}

#[test]
fn a_lone_training_table_gets_a_validation_split() {
    let mut content = "image,S\n".to_owned();
    (0..40).for_each(|number| content += &format!("{number}.png,{}\n", number % 2));
    let unlabelled = text("test.csv", "image\n90.png\n91.png\n");
    let submission = text("sample_submission.csv", "image,S\n90.png,0\n91.png,0\n");
    let (_home, path) = folder(&[text("train.csv", &content), unlabelled, submission]);
    let mut dataset = Dataset::open(&path).unwrap();
    assert_eq!(Split::ALL.map(|split| dataset.indices(split).len()), [40, 0, 0]);
    assert!(dataset.notes().iter().any(|note| note.contains("test.csv holds no labels")), "{:?}", dataset.notes());
    assert!(dataset.draw_missing_splits(1).unwrap().contains("no validation split"));
    assert_eq!(Split::ALL.map(|split| dataset.indices(split).len()), [36, 4, 0]);
    let validation = dataset.indices(Split::Validation);
    let present = validation.iter().filter(|&&index| dataset.samples()[index].labels[0] == Present).count();
    assert_eq!(present, 2, "stratified");
    assert_eq!(dataset.draw_missing_splits(1), None);
}

#[test]
fn the_parts_of_a_table_are_splits_by_any_word_of_their_names() {
    let parts = [
        ("fairface_label_train.csv", "train/1.jpg", Split::Train),
        ("fairface_label_val.csv", "val/1.jpg", Split::Validation),
    ];
    let (_home, path) = folder(&parts.map(|(name, image, _)| text(name, &format!("file,S\n{image},1\n"))));
    let dataset = Dataset::open(&path).unwrap();
    for (_, image, split) in parts {
        let sample = dataset.samples().iter().find(|sample| sample.image == image).unwrap();
        assert_eq!(sample.split, Some(split));
    }
    assert_eq!(
        Dataset::open(&path.join(parts[1].0)).unwrap().samples()[0].split,
        None,
        "a table of its own is no split"
    );
}

#[test]
fn every_form_of_table_reads_labels_by_one_rule() {
    // Text labels: in Parquet, CSV and JSON lines they are attributes, and other text is a category.
    let lines = r#"{"image": "a.jpg", "S": "yes", "B": "0", "city": "Ulm", "tags": ["x", "y"]}
{"image": "b.jpg", "S": "no", "B": "1", "city": "Bonn", "tags": []}
"#;
    let csv = "image,S,B,city,tags\na.jpg,yes,0,Ulm,\"['x', 'y']\"\nb.jpg,no,1,Bonn,[]\n";
    let parquet = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/datasets/text_labels.parquet");
    let home = folder(&[text("a/labels.jsonl", lines), text("b/labels.csv", csv)]);
    for path in [home.1.join("a"), home.1.join("b"), parquet.into()] {
        let dataset = Dataset::open(&path).unwrap();
        assert_eq!(dataset.attributes(), ["S", "B", "x", "y"], "{}", path.display());
        assert_eq!(dataset.categories(), ["city"]);
        assert_eq!(dataset.samples()[0].labels[..], [Present, Absent, Present, Present]);
        assert_eq!(dataset.samples()[1].labels[..], [Absent, Present, Absent, Absent]);
    }
}

#[test]
fn what_is_no_table_is_named() {
    let image = ("a.png".to_owned(), encoded(0, image::ImageFormat::Png));
    for (name, content, part) in [
        ("labels.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "git lfs pull"),
        ("labels.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "git lfs pull"),
        ("labels.csv", "<!DOCTYPE html><html></html>", "web page"),
        ("labels.xlsx", "PK\u{3}\u{4}", "spreadsheet"),
        ("labels.jsonl", "{\"image\": \"a.png\", \"box\": [{\"x\": 1}]}\n", "list of objects"),
        ("labels.jsonl", "[1, 2]\n", "JSON object"),
        ("labels.json", "{\"a\": 1}", "no dataset in"),
    ] {
        let (_home, path) = folder(&[image.clone(), text(name, content)]);
        let message = Dataset::open(&path).unwrap_err().to_string();
        assert!(message.contains(part), "{name}: {message}");
    }
    let (_home, path) = folder(&[text("labels.json", "{\"a\": 1}")]);
    assert!(Dataset::open(&path.join("labels.json")).unwrap_err().to_string().contains("not an export of COCO"));
}

#[test]
fn a_table_without_labels_is_a_list_of_images() {
    let (_home, path) = folder(&[
        text("test.csv", "id,file\n7,1.png\n8,2.png\n"),
        ("img/1.png".to_owned(), encoded(1, image::ImageFormat::Png)),
        ("img/2.png".to_owned(), encoded(2, image::ImageFormat::Png)),
    ]);
    let table = path.join("test.csv");
    assert!(visage_data::image_list::is_table(&table));
    let images = visage_data::image_list::read(&table, &TableOptions::default()).unwrap();
    assert_eq!(images, [1, 2].map(|number| path.join(format!("img/{number}.png")).display().to_string()));
}
