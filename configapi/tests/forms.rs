//! What is written as a file is read as the same, whatever is in it.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read as _};

use configapi::transfer::{Entry, EntryWriter, FileForm, ReadError, read};
use proptest::prelude::*;

const FORMS: [FileForm; 4] = [FileForm::Json, FileForm::Yaml, FileForm::Env, FileForm::Properties];

fn written(form: FileForm, entries: &[Entry]) -> Vec<u8> {
    let mut writer = EntryWriter::new(form, Vec::new());
    for entry in entries {
        writer.write(entry).unwrap();
    }
    writer.finish().unwrap()
}

fn read_all(form: FileForm, text: &[u8]) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let outcome = read(form, text, &mut |entry| {
        entries.push(entry);
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(entries),
        Err(ReadError::Wrong(why)) => Err(why),
        Err(ReadError::Io(error)) => Err(error.to_string()),
        Err(ReadError::Stopped) => panic!("nobody stopped it"),
    }
}

fn pairs(form: FileForm, text: &str) -> Vec<(String, String)> {
    let entries = read_all(form, text.as_bytes()).unwrap();
    entries.into_iter().map(|entry| (entry.name, entry.value)).collect()
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| text.replace('\0', "")),
        "[ \t\r\n\"'\\\\#=:!$`{}\\[\\],&*|>%@~-]{0,12}",
        "(null|true|no|1e3|0x1F|1_000|2024-01-15|---|\\.\\.\\.|<<|\u{85}|\u{2028}|\u{feff}|😀){1,3}",
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = ("[A-Za-z0-9_./-]{1,20}", value(), "(|text/plain|application/json; charset=utf-8)");
    let entry = entry.prop_map(|(name, value, content_type)| Entry { name, value, content_type });
    prop::collection::vec(entry, 0..8)
}

proptest! {
    #[test]
    fn what_is_written_is_read_byte_for_byte(entries in entries()) {
        for form in FORMS {
            let mut expected = entries.clone();
            if !form.has_content_types() {
                for entry in &mut expected {
                    entry.content_type.clear();
                }
            }
            let text = written(form, &entries);
            let shown = String::from_utf8_lossy(&text).into_owned();
            prop_assert_eq!(read_all(form, &text), Ok(expected), "{:?}: {}", form, shown);
        }
    }

    #[test]
    fn no_file_makes_a_reader_panic(text in any::<Vec<u8>>(), form in 0..4_usize) {
        let _ = read_all(FORMS[form], &text);
    }
}

#[test]
fn json_that_is_written_is_json_and_also_yaml() {
    let entries = [
        Entry { name: "a/b".into(), value: "x\ny".into(), content_type: String::new() },
        Entry { name: "c".into(), value: "{}".into(), content_type: "application/json".into() },
    ];
    let text = written(FileForm::Json, &entries);
    let tree: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(tree["a/b"], "x\ny");
    assert_eq!(tree["c"]["content_type"], "application/json");
    assert_eq!(read_all(FileForm::Yaml, &text), Ok(entries.to_vec()));
}

#[test]
fn yaml_keeps_numbers_and_flags_as_they_are_written() {
    let text = "# limits\nretry: 3\nrate: 1.50\nenabled: yes\nempty: ''\nlong: |\n  one\n  two\n";
    let expected = [
        ("retry", "3"),
        ("rate", "1.50"),
        ("enabled", "yes"),
        ("empty", ""),
        ("long", "one\ntwo\n"),
    ];
    assert_eq!(pairs(FileForm::Yaml, text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn env_files_are_read_as_people_write_them() {
    let text = "# a comment\nexport PORT=8080 # the port\nNAME = 'single $quoted'\n\
                TEXT=\"two\\nlines \\$HOME\"\nMULTI=\"a\nb\"\nEMPTY=\nURL=http://x/#y\n";
    let expected = [
        ("PORT", "8080"),
        ("NAME", "single $quoted"),
        ("TEXT", "two\nlines $HOME"),
        ("MULTI", "a\nb"),
        ("EMPTY", ""),
        ("URL", "http://x/#y"),
    ];
    assert_eq!(pairs(FileForm::Env, text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let text = "! a comment\n# another\nfruits   apple, banana, \\\n    pear\ncheese\n\
                key\\ with\\ spaces : value  \nunicode=\\u00e9\\ud83d\\ude00\npath=C:\\\\temp\r\nlast=1";
    let expected = [
        ("fruits", "apple, banana, pear"),
        ("cheese", ""),
        ("key with spaces", "value  "),
        ("unicode", "é😀"),
        ("path", "C:\\temp"),
        ("last", "1"),
    ];
    assert_eq!(
        pairs(FileForm::Properties, text),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}

#[test]
fn a_file_that_comes_to_no_config_is_not_read_to_its_end() {
    const LENGTH: u64 = 256 << 20;
    for (form, beginning) in [
        (FileForm::Json, "{\"a\": \"b\", \"c\": \""),
        (FileForm::Yaml, "a: b\nc: \""),
        (FileForm::Yaml, "a: b\n#"),
        (FileForm::Env, "a=b\nc=\""),
        (FileForm::Env, "a=b\n"),
        (FileForm::Env, "a=b\n#"),
        (FileForm::Properties, "a=b\nc="),
        (FileForm::Properties, "a=b\n#"),
    ] {
        let mut rest = io::repeat(b'x').take(LENGTH);
        let input = BufReader::new(beginning.as_bytes().chain(&mut rest));
        let mut entries = 0;
        let outcome = read(form, input, &mut |_| {
            entries += 1;
            Ok(())
        });
        assert!(outcome.is_err(), "{form:?} {beginning:?}");
        assert_eq!(entries, 1, "{form:?} {beginning:?}");
        assert!(rest.limit() > LENGTH / 2, "{form:?} {beginning:?}: all of it was read");
    }
}

#[test]
fn a_line_may_be_as_long_as_many_configs_together() {
    let value = "é".repeat(450_000);
    // Where the characters of a value begin is another place each time.
    let entry = |n: usize| {
        let name = format!("n{n}{}", "_".repeat(n % 7));
        Entry { name, value: value.clone(), content_type: String::new() }
    };
    let entries: Vec<_> = (0..40).map(entry).collect();
    let json = String::from_utf8(written(FileForm::Json, &entries)).unwrap().replace('\n', " ");
    assert!(read_all(FileForm::Json, json.as_bytes()).as_ref() == Ok(&entries));
    let many = &entries[..20];
    let line = String::from_utf8(written(FileForm::Json, many)).unwrap().replace('\n', " ");
    assert!(read_all(FileForm::Yaml, line.as_bytes()).as_deref() == Ok(many));
    for form in FORMS {
        assert!(read_all(form, &written(form, &entries)).as_ref() == Ok(&entries), "{form:?}");
    }
    let cut = &json.as_bytes()[..=json.find('é').unwrap()];
    assert!(read_all(FileForm::Yaml, cut).unwrap_err().contains("UTF-8"));
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_without_its_value() {
    let cases = [
        (FileForm::Json, "{\n\"a\": 1.5}"),
        (FileForm::Json, "{\n\"a\": null}"),
        (FileForm::Json, "{\n\"a\": [\"s3cret\"]}"),
        (FileForm::Json, "{\n\"a\": {\"valu\": \"s3cret\"}}"),
        (
            FileForm::Json,
            "{\n\"a\": {\"value\": {\"value\": \"s3cret\", \"content_type\": \"x\"}}}",
        ),
        (FileForm::Json, "{\n\"a\": \"s3cret\""),
        (FileForm::Json, "\"s3cret, expected not\""),
        (FileForm::Json, "{\n\"a\": {\"value\": \"x\", \"content_type\": 74747}}"),
        (FileForm::Yaml, "x: y\na: ~"),
        (FileForm::Yaml, "x: y\na: [s3cret]"),
        (FileForm::Yaml, "x: y\na: {value: {value: s3cret, content_type: x}}"),
        (FileForm::Yaml, "x: &anchor y\na: *anchor"),
        (FileForm::Yaml, "x: y\n--- s3cret"),
        (FileForm::Yaml, "- s3cret"),
        (FileForm::Env, "X=1\ns3cret"),
        (FileForm::Env, "X=1\nA=\"s3cret"),
        (FileForm::Env, "X=1\nA=\"s3cret\" more"),
        (FileForm::Properties, "x=1\na=\\u12g4"),
        (FileForm::Properties, "x=1\na=\\ud800 s3cret"),
    ];
    let mut told = String::new();
    for (form, text) in cases {
        let why = read_all(form, text.as_bytes()).unwrap_err();
        assert!(!why.contains("s3cret") && !why.contains("74747"), "{why}");
        writeln!(told, "{form:?} {text:?}\n    {why}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_not_utf_8_is_refused_in_every_form() {
    for form in FORMS {
        assert!(read_all(form, b"a=\xff\xfe\n").is_err(), "{form:?}");
    }
    assert!(read_all(FileForm::Yaml, b"a: \xff\xfe\n").unwrap_err().contains("UTF-8"));
}
