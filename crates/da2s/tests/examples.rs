//! Runs the programs of `examples/`.

#[path = "../examples/own_method.rs"]
mod own_method;
#[path = "../examples/search_and_prune.rs"]
mod search_and_prune;

use std::error::Error;

#[test]
fn a_search_is_pruned() -> Result<(), Box<dyn Error>> {
    search_and_prune::main()
}

#[test]
fn a_method_of_ones_own_searches() -> Result<(), Box<dyn Error>> {
    own_method::main()
}
