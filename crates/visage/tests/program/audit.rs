//! `visage audit`.

use std::fs;

use crate::fixture::{faces, faces_run, folder, line, run, squares};

#[test]
fn doubtful_labels_and_duplicates_are_listed() {
    let (run, data) = (&run().0, squares());
    let folder = folder();
    let other = folder.path().join("squares");
    fs::create_dir_all(other.join("images")).unwrap();
    for entry in fs::read_dir(data.join("images")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, other.join("images").join(path.file_name().unwrap())).unwrap();
    }
    // The last test image a second time, labelled otherwise.
    fs::copy(other.join("images/95.png"), other.join("images/again.png")).unwrap();
    let table = fs::read_to_string(data.join("labels.csv")).unwrap() + "images/again.png,test,1,\n";
    fs::write(other.join("labels.csv"), table).unwrap();

    let out = folder.path().join("audit");
    let audit = format!("audit {} --data {} --split test --out {}", run.display(), other.display(), out.display());
    let output = line(&format!("{audit} --share 0.5")).done();
    for expected in [
        "labels of 17 images",
        // The squares are too few for this model to rank them better than chance.
        "0 are suspected to be wrong; the model cannot tell for 2 attributes",
        "Suspected",
        "too rare to say anything",
        "1 pair of duplicate images, 1 with labels that contradict",
    ] {
        assert!(output.contains(expected), "{expected:?} in\n{output}");
    }
    // 17 labels of Red, and 14 of Bright: half of them.
    let labels = fs::read_to_string(out.join("audit-labels.csv")).unwrap();
    let rows: Vec<Vec<&str>> = labels.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["rank", "image", "attribute", "label", "probability", "confidence", "suspect"]);
    assert_eq!(rows.len(), 1 + 16);
    let confidences: Vec<f32> = rows[1..].iter().map(|row| row[5].parse().unwrap()).collect();
    assert!(confidences.is_sorted(), "the least sure first: {confidences:?}");
    let duplicates = fs::read_to_string(out.join("audit-duplicates.csv")).unwrap();
    assert!(duplicates.contains("images/95.png,images/again.png,0.000,Red\n"), "{duplicates}");

    let page = fs::read_to_string(out.join("audit.html")).unwrap();
    for expected in [
        "Labels that are likely wrong",
        "images/again.png",
        "too few labels",
        "The 31 most doubtful of 31",
        "id=\"pairs\"",
    ] {
        assert!(page.contains(expected), "{expected:?}");
    }
    for outside in ["src=\"http", "href=\"http", "url(http", "@import", "<link", "data:image/jpeg"] {
        assert!(!page.contains(outside), "{outside:?}");
    }
    let json = line(&format!("{audit} --gallery --json")).json();
    let page = fs::read_to_string(out.join("audit.html")).unwrap();
    // The 31 labels, and the one pair.
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 31 + 2);
    assert_eq!((&json["images"], &json["labels"]), (&17.into(), &31.into()));
}

#[test]
fn labels_the_model_was_trained_on_are_audited_with_a_warning() {
    let folder = folder();
    let (run, data, out) = (faces_run().display(), faces().display(), folder.path().display());
    let ran = line(&format!("audit {run} --data {data} --split train,val,test --out {out} --json"));
    assert!(ran.stderr.contains("warning: the model was trained on these labels"), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!((&json["images"], json["attributes"].as_array().unwrap().len()), (&120.into(), 40));
    // After one epoch the model is no better than chance for many attributes, and accuses none of their labels.
    let undecided = |attribute: &&serde_json::Value| attribute["cannot_tell"] == true;
    let attributes = json["attributes"].as_array().unwrap();
    assert!(attributes.iter().any(|attribute| undecided(&attribute)), "{json}");
    for attribute in attributes.iter().filter(undecided) {
        assert_eq!(attribute["suspects"], 0, "{attribute}");
        assert!(attribute["interval"][0].as_f64().unwrap() <= 0.5, "{attribute}");
    }
    let output = line(&format!("audit {run} --data {data} --split train,val,test --out {out}")).done();
    assert!(output.contains("the model cannot tell for ") && output.contains("cannot tell"), "{output}");
    let page = fs::read_to_string(folder.path().join("audit.html")).unwrap();
    assert!(page.contains("cannot tell: "), "the page says so as well");
    line(&format!("audit {run} --data {data} --share 0")).failed(2);
}

#[test]
fn cross_validation_audits_every_image() {
    let folder = folder();
    let faces = folder.path().join("faces");
    let drawn = format!("data synth {} --images 400 --seed 3 --size 64x52 --no-label-noise", faces.display());
    line(&drawn).done();
    // Every 25th label of two attributes is flipped, also in the training split.
    let path = faces.join("Anno/list_attr_celeba.txt");
    let table = fs::read_to_string(&path).unwrap();
    let names: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    let mut planted = Vec::new();
    let rows = table.lines().enumerate().map(|(number, line)| {
        let mut fields: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        for (attribute, first) in [("Blond_Hair", 5), ("Wearing_Hat", 17)] {
            if number >= 2 && number % 25 == first {
                let label = &mut fields[1 + names.iter().position(|name| *name == attribute).unwrap()];
                *label = if label == "1" { "-1" } else { "1" }.to_owned();
                planted.push((line.split_whitespace().next().unwrap().to_owned(), attribute));
            }
        }
        fields.join(" ") + "\n"
    });
    let noisy: String = rows.collect();
    fs::write(&path, noisy).unwrap();

    let out = folder.path().join("audit");
    let audit = format!(
        "audit baseline --data {} --folds 3 --out {} --share 1 --set epochs=5 --set input.size=32 --set batch_size=16",
        faces.display(),
        out.display()
    );
    let output = line(&audit).done();
    assert!(
        output.contains("labels of 400 images")
            && output.contains("the most doubtful labels")
            && output.contains("by 3 models of recipe baseline, each on"),
        "{output}"
    );
    let read = || fs::read_to_string(out.join("audit-labels.csv")).unwrap();
    let labels = read();
    let rows: Vec<Vec<&str>> = labels.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let (mut found, mut ranked) = (0, 0);
    for attribute in ["Blond_Hair", "Wearing_Hat"] {
        let own = rows.iter().filter(|row| row[2] == attribute).take(40);
        let is_planted = |row: &&Vec<&str>| planted.iter().any(|(image, name)| image == row[1] && *name == attribute);
        found += own.filter(is_planted).count();
        ranked += rows.iter().filter(|row| row[2] == attribute).count();
    }
    assert_eq!((planted.len(), ranked), (32, 800));
    assert!(found >= 26, "{found} of 32 planted errors in the tenth of the labels that is most doubtful");

    // The same command resumes: the models are trained already, and predict the same.
    fs::remove_file(out.join("audit-labels.csv")).unwrap();
    let again = line(&audit);
    assert!(!again.stderr.contains("epoch 5 of 5"), "{}", again.stderr);
    again.done();
    assert_eq!(read(), labels);
    let error = line(&format!("{audit} --set epochs=6")).failed(1);
    assert!(error.contains("epochs"), "{error}");
    line(&format!("audit baseline --data {} --folds 1", faces.display())).failed(2);
    line(&format!("audit baseline --data {} --folds 3 --split test", faces.display())).failed(2);
}
