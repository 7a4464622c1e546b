//! Settings of spaces, of targets in them, and of networks by name.

use super::runs::finished_copy;
use super::{Case, flags, run};

pub fn cases() -> Vec<Case> {
    vec![
        run("--depth 2", &["target.depth is for the layers of a chain"]),
        run(
            "--space mobile --depth 1",
            &["target.depth keeps 1 of the 3 layers of stage 1", "allowed are 2 to 3"],
        ),
        run(
            "--space mobile --depth 2,2",
            &["target.depth has 2 numbers", "4 stages"],
        ),
        run(
            "--space mobile --depth 2 --set space.skip=true",
            &["target.depth and the candidate skip both decide"],
        ),
        run(
            "--space mobile --operations 2 --set space.skip=true",
            &["target.operations = 2", "search without skip"],
        ),
        run(
            "--space mobile --precision int8 --set space.squeeze_excitation=true",
            &["target.precision", "no int8 kernels for squeeze-and-excitation"],
        ),
        run("--set space.skip=true", &["space.skip", "outside the space mobile"]),
        run(
            "--set space.squeeze_excitation=true",
            &["space.squeeze_excitation", "outside the space mobile"],
        ),
        run(
            "--space mobile --set space.operations=[\"mbconv_k3_e1\"] --set space.squeeze_excitation=true",
            &["space.squeeze_excitation", "put \"mbconv_k3_e1_se\" in that list"],
        ),
        run(
            "--set space.residual_blocks=true",
            &["space.residual_blocks", "outside the space mobile"],
        ),
        run(
            "--space mobile --set space.operations=[\"mbconv_k3_e1\"] --set space.residual_blocks=true",
            &["space.residual_blocks", "put \"resblock_k3\" in that list"],
        ),
        run(
            "--set space.activation=relu6",
            &["space.activation", "outside the space mobile"],
        ),
        run(
            "--space mobile --set space.activation=swish",
            &["space.activation", "hard_swish"],
        ),
        run(
            "--space mobile --set space.operations=[\"skip\"]",
            &["space.operations", "an operation in addition to skip"],
        ),
        run("--space mobile --edges 2", &["target.edges = \"all\""]),
        run(
            "--baselines resnet8 --baseline-width 1000",
            &["network.baseline_width", "resnet8", "4096"],
        ),
        run(
            "--space mobile --set target.most_skips=1",
            &["target.most_skips", "in a space without skip_connect"],
        ),
        run(
            "--tuning-epochs 5",
            &["discretize.tuning_epochs", "with the rule strongest"],
        ),
        flags(
            &["discretize", "run", "--tuning-epochs", "5"],
            &["discretize.tuning_epochs", "with the rule strongest"],
        )
        .make(finished_copy),
        run("--space mobile --set space.none=true", &["space.none"]),
        run(
            "--space mobile --set space.stages=[[8,2]]",
            &["space.stages", "three numbers per stage"],
        ),
        run(
            "--space mobile --set space.stages=[[8,61,1]]",
            &["at most 16 stages and 60 layers"],
        ),
        run(
            "--space mobile --set search.cells=3",
            &["search.cells", "1 in the space mobile"],
        ),
        run("--space mobile --method pc-darts", &["partial channels"]),
        run(
            "--set space.preset=64px",
            &["space.preset", "outside the spaces mobile and plain"],
        ),
        run("--space plain", &["space.stages = unset", "a value in the space plain"]),
        run(
            "--space plain --set space.stages=[[16,1,1]]",
            &["space.name = plain", "a space to search"],
        ),
        run(
            "--space plain --set space.stages=[[16,1,1]] --set space.head_channels=3",
            &["space.head_channels", "space plain"],
        ),
        run(
            "--baselines resnet8,darts-v2",
            &["--baselines", "resnet8, resnet14, mobilenet-v2, ds-cnn"],
        ),
        run("--baselines resnet8,resnet8", &["network.baselines", "different words"]),
        run("--baseline-width 0", &["--baseline-width"]),
        run(
            "--network resnet9",
            &["--network", "resnet8, resnet14, mobilenet-v2, ds-cnn, darts-v1"],
        ),
        run(
            "--network resnet8 --space darts",
            &["--network", "cannot be used with", "--space"],
        ),
        run(
            "--network resnet8 --genotype x",
            &["--network", "cannot be used with", "--genotype"],
        ),
        run(
            "--network resnet8 --max-parameters 100",
            &["target.max_parameters = 100 cannot be kept", "needs 1360 parameters"],
        ),
    ]
}
