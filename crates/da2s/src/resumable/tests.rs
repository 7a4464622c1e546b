//! When the loop saves, with a stage that only counts its steps.

use super::*;
use crate::observer::Silent;

/// Two epochs of three steps.
struct Counting<const MILLISECONDS: u64>(Group);

impl<const MILLISECONDS: u64> Resumable for Counting<MILLISECONDS> {
    type State = Position;
    type Images = ();
    type Record = ();

    const STAGE: Stage = Stage::Train;
    const SAVE_EVERY: Duration = Duration::from_millis(MILLISECONDS);

    fn group(&self) -> &Group {
        &self.0
    }

    fn epochs(&self) -> usize {
        2
    }

    fn steps(&self) -> usize {
        3
    }

    fn batch_size(&self) -> usize {
        1
    }

    fn start(&self) -> Position {
        Position {
            epochs_done: 0,
            steps_done: 0,
            rollbacks: 0,
            loss: 0.0,
            correct: 0,
        }
    }

    fn position(&self, state: &Position) -> Position {
        *state
    }

    fn set_rollbacks(&self, state: &mut Position, rollbacks: u32) {
        state.rollbacks = rollbacks;
    }

    fn is_unfinished(&self, state: &Position) -> bool {
        state.epochs_done < self.epochs()
    }

    fn images(&self, _: &Position, _: &dyn Fn() -> bool) -> Result<(), StageError> {
        Ok(())
    }

    fn step(&self, state: &mut Position, (): ()) -> Result<(), NotFinite> {
        state.steps_done += 1;
        Ok(())
    }

    fn check(&self, _: &Position) -> Result<(), NotFinite> {
        Ok(())
    }

    fn end_epoch(&self, state: &mut Position) -> Result<(), StageError> {
        *state = Position {
            epochs_done: state.epoch(),
            ..self.start()
        };
        Ok(())
    }

    fn bytes(&self, _: &Position) -> Vec<u8> {
        Vec::new()
    }

    fn event((): &()) -> Event<'_> {
        Event::Warning("an epoch has ended".to_owned().into())
    }
}

/// The progress, epochs and steps, of every saved state.
fn saved<S: Resumable<State = Position>>(stage: &S) -> Vec<[usize; 2]> {
    let mut saved = Vec::new();
    let mut save = |state: &Position, _: Option<Ended<'_, S::Record>>| {
        saved.push([state.epochs_done, state.steps_done]);
        Ok::<_, StageError>(())
    };
    stage.run(&mut stage.start(), &mut Silent, &mut save).unwrap();
    saved
}

#[test]
fn a_long_epoch_is_saved_within() {
    let every_step = saved(&Counting::<0>(Group::default()));
    assert_eq!(every_step, [[0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0]]);
    let at_the_ends = saved(&Counting::<3_600_000>(Group::default()));
    assert_eq!(at_the_ends, [[1, 0], [2, 0]]);
}
