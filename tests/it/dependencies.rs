//! Every crate comes from the public registry and under a licence that we accept; the same rules
//! as `.cargo/deny.toml`, checked without a further tool.

use serde_json::Value;
use std::process::Command;

fn allowed() -> Vec<String> {
    let text = include_str!("../../.cargo/deny.toml");
    let table: toml::Table = text.parse().unwrap();
    let list = table["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|l| l.as_str().unwrap().to_owned()).collect()
}

/// Judges an SPDX expression of `AND`, `OR`, `/` and parentheses.
fn accepted(expression: &str, allowed: &[String]) -> bool {
    let text = expression.replace(" / ", " OR ").replace('/', " OR ");
    let mut depth = 0;
    let mut parts: [Vec<String>; 2] = [vec![String::new()], vec![String::new()]];
    // Split at the top level, first by OR, then by AND.
    for (kind, word) in [(0, "OR"), (1, "AND")] {
        for token in text.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
            match token {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if token == word && depth == 0 {
                parts[kind].push(String::new());
            } else {
                let last = parts[kind].last_mut().unwrap();
                last.push_str(token);
                last.push(' ');
            }
        }
    }
    let [or, and] = parts;
    if or.len() > 1 {
        return or.iter().any(|part| accepted(part.trim(), allowed));
    }
    if and.len() > 1 {
        return and.iter().all(|part| accepted(part.trim(), allowed));
    }
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        return accepted(inner.trim(), allowed);
    }
    allowed.iter().any(|name| name == text)
}

#[test]
fn every_crate_comes_from_the_registry_under_an_accepted_licence() {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    let allowed = allowed();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let source = package["source"].as_str();
        if name != "loa" && !source.is_some_and(|s| s.starts_with("registry+")) {
            faults.push(format!("{name}: from {source:?}"));
        }
        let licence = package["license"].as_str().unwrap_or("none");
        if !accepted(licence, &allowed) {
            faults.push(format!("{name}: licence {licence}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn licence_expressions_are_judged_whole() {
    let allowed = vec!["MIT".to_owned(), "ISC".to_owned()];
    assert!(accepted("MIT OR GPL-3.0", &allowed));
    assert!(accepted("ISC AND (Apache-2.0 OR MIT)", &allowed));
    assert!(!accepted("MIT AND GPL-3.0", &allowed));
    assert!(!accepted("GPL-3.0", &allowed));
}
