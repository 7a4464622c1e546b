//! Shell completions and manual pages name every command.

use std::fs;

use crate::da2s;
use predicates::str::contains;

/// Some of the commands that must be named. Names come from the same definitions as `--help`.
const COMMANDS: [&str; 4] = ["run", "discretize", "export", "completions"];

#[test]
fn each_shell_gets_completions_that_name_the_commands_and_their_flags() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut assert = da2s().args(["completions", shell]).assert().success();
        for command in COMMANDS {
            assert = assert.stdout(contains(command));
        }
        assert.stdout(contains("search-epochs"));
    }
    da2s()
        .args(["completions", "tcsh"])
        .assert()
        .code(2)
        .stderr(contains("possible values"));
}

#[test]
fn every_command_has_a_manual_page() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("new/man");
    da2s().args(["man", "--out"]).arg(&folder).assert().success().stdout("");
    for command in COMMANDS {
        let page = fs::read_to_string(folder.join(format!("da2s-{command}.1"))).unwrap();
        assert!(
            page.contains(&format!("da2s-{command}")) || page.contains(&format!("da2s\\-{command}")),
            "{page}"
        );
    }
    let page = fs::read_to_string(folder.join("da2s.1")).unwrap();
    assert!(page.contains("exit codes") || page.contains("Exit codes"), "{page}");

    fs::write(temporary.path().join("file"), "").unwrap();
    da2s()
        .args(["man", "--out"])
        .arg(temporary.path().join("file"))
        .assert()
        .code(7)
        .stderr(contains("cannot create"));
}
