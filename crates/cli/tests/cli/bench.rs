//! Failures of `da2s bench`: each case runs in a process of its own, and a failing process makes
//! the command fail.

use crate::da2s;
use predicates::prelude::*;

#[test]
fn the_command_exits_with_the_code_of_the_failed_case() {
    for case in ["all", "inference"] {
        let told = predicate::str::contains("da2s: the device abacus is not available")
            .and(predicate::str::contains("da2s: cannot measure "));
        da2s()
            .args(["bench", "--device", "abacus", "--threads", "1", "--case", case])
            .assert()
            .code(6)
            .stdout("")
            .stderr(told);
    }
}
