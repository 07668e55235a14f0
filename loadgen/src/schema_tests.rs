//! The committed schema of the JSON report is what the types say.

use std::path::Path;

use crate::report::Report;

/// Set to write the schema anew.
const UPDATE: &str = "LOADGEN_UPDATE_SCHEMA";

#[test]
fn the_committed_schema_is_that_of_the_report() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/report.schema.json");
    let mut schema = schemars::schema_for!(Report);
    schema.insert("title".to_owned(), "The report of a run of loadgen".into());
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == text, "the report has changed: run this test with {UPDATE}=1 and commit {}", path.display());
}
