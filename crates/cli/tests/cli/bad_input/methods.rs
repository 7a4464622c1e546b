//! Invalid settings of methods, of their stages, and of the removal of choices during a search.

use super::{Case, run};

pub fn cases() -> Vec<Case> {
    vec![
        run(
            "--method darts --set search.drop_below=0.01",
            &[
                "search.drop_below = 0.01",
                "0 for search.method = darts with search.drive = none",
            ],
        ),
        run(
            "--method gdas --drive path --set search.drop_below=0.01",
            &["search.drop_below = 0.01", "one operation of each edge"],
        ),
        run(
            "--method p-darts --drive path --set search.drop_below=0.01",
            &["search.drop_below = 0.01", "at the end of each stage"],
        ),
        run(
            "--set search.drop_below=0.01 --set target.most_skips=2",
            &["search.drop_below = 0.01", "0 with target.most_skips = 2"],
        ),
        run(
            "--method p-darts --search-epochs 17 --set search.warmup_epochs=5",
            &[
                "search.epochs = 17",
                "at least 18 for search.method = p-darts",
                "3 stages",
            ],
        ),
        run(
            "--method p-darts --space mobile",
            &["search.method = p-darts", "mobile is one chain"],
        ),
        run(
            "--method p-darts --set search.stages.candidates=[7,5] --set search.stages.cells=[3,5,7]",
            &["search.stages.cells = [3, 5, 7]", "2 numbers, one for each stage"],
        ),
        run(
            "--method p-darts --set search.stages.candidates=[7,2,4]",
            &["search.stages.candidates = [7, 2, 4]", "numbers that do not rise"],
        ),
        run(
            "--method p-darts --operations 3 --set target.most_skips=2",
            &[
                "search.method = p-darts",
                "the last stage has 3 of the 7 candidates",
                "set search.stages.candidates",
            ],
        ),
        run(
            "--method p-darts --operations 3 --set target.most_skips=2 --set search.stages.candidates=[7,4,3]",
            &["search.stages.candidates = [7, 4, 3]", "at least 4 in the last stage"],
        ),
        run(
            "--set search.stages.skip_dropout=[0.9]",
            &["search.stages.skip_dropout has no effect for search.method = da2s"],
        ),
        run(
            "--method p-darts --set search.stages.skip_dropout=[0.9]",
            &["search.stages.skip_dropout = [0.9]", "3 numbers, one for each stage"],
        ),
        run(
            "--space mobile --method drnas --set search.stages.partial_channels=[1,1]",
            &["search.stages.partial_channels has no effect in the space mobile"],
        ),
        run(
            "--method p-darts --drive path --set search.drop_below=0.01",
            &["search.drop_below = 0.01", "at the end of each stage"],
        ),
        run(
            "--method drnas --set search.stages.partial_channels=[6,4]",
            &[
                "search.channels = 8",
                "a multiple of 6: with search.stages.partial_channels, one in 6",
            ],
        ),
        run(
            "--method drnas --set search.stages.partial_channels=[4,2] --set search.partial_channels=2",
            &["search.partial_channels has no effect beside search.stages.partial_channels"],
        ),
        run(
            "--space nas-bench-201 --method drnas --set search.stages.partial_channels=[4,2]",
            &["search.stages.partial_channels has no effect in the space nas-bench-201"],
        ),
        run(
            "--method drnas --set search.stages.candidates=[7,4]",
            &["search.stages.candidates has no effect for search.method = drnas"],
        ),
        run(
            "--set search.stages.cells=[3,5,7]",
            &["search.stages.cells has no effect for search.method = da2s"],
        ),
        run("--set target.most_skips=-1", &["target.most_skips = -1"]),
        run(
            "--operations 7 --set target.most_skips=2",
            &["target.most_skips is set", "6 without the skip connection"],
        ),
        run(
            "--set search.drop_below=0.15",
            &[
                "search.drop_below = 0.15",
                "less than 1/7, the share of each of 7 operations of an edge",
            ],
        ),
        run(
            "--method da2s-edges --set search.drop_below=0.2",
            &[
                "search.drop_below = 0.2",
                "less than 1/5, the share of each of 5 edges that compete",
            ],
        ),
        run("--set search.drop_below=1", &["search.drop_below = 1", "less than 1"]),
        run(
            "--set search.drop_below=-0.01",
            &["search.drop_below = -0.01", "at least 0"],
        ),
        run("--set search.drop_below=nan", &["search.drop_below = nan"]),
    ]
}
