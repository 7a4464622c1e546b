//! Puts records into a table, and computes the grids over them.

use super::program::{Image, Launch};
use super::table::{PAD_BIAS, Record, RecordTable, Span, field};

/// A window over a source.
#[derive(Clone, Copy)]
pub(super) struct SourceWindow {
    pub kernel: usize,
    pub stride: usize,
    pub padding: i32,
    pub dilation: usize,
}

impl SourceWindow {
    /// `record` with this window, which writes `count` channels from `first` on.
    pub(super) fn of(self, record: Record, first: usize, count: usize) -> Record {
        record
            .with(field::KERNEL, self.kernel)
            .with(field::STRIDE, self.stride)
            .with(field::PADDING, (self.padding + PAD_BIAS as i32) as usize)
            .with(field::DILATION, self.dilation)
            .with(field::RESULT_FIRST, first)
            .with(field::OUTPUTS, count)
    }
}

/// `record` with its result at `image`.
pub(super) fn at(record: Record, image: &Image) -> Record {
    record
        .with(field::RESULT, image.at)
        .with(field::RESULT_CHANNELS, image.channels)
        .with(field::OUT_HEIGHT, image.height)
        .with(field::OUT_WIDTH, image.width)
}

/// `record`, reading `source` through the norm at `slot`.
pub(super) fn reading(record: Record, source: Image, slot: u32, relu: bool) -> Record {
    record
        .with(field::SOURCE, source.at)
        .with(field::SOURCE_SLOT, slot as usize)
        .with(field::RELU, usize::from(relu))
        .with(field::INPUTS, source.channels)
        .with(field::IN_HEIGHT, source.height)
        .with(field::IN_WIDTH, source.width)
}

/// Puts `records` into the table; returns the grid over their results.
pub(super) fn launch(table: &mut RecordTable, records: &[Record]) -> Launch {
    let most = |of: &dyn Fn(&Record) -> u32| records.iter().map(of).max().unwrap_or(0) as usize;
    Launch {
        span: table.push(records.iter().copied()),
        area: most(&|record| record.get(field::OUT_HEIGHT) * record.get(field::OUT_WIDTH)),
        channels: most(&|record| record.get(field::RESULT_CHANNELS)),
    }
}

/// Merges consecutive launches into one.
pub(super) fn joined(launches: &[Launch]) -> Launch {
    let most = |of: &dyn Fn(&Launch) -> usize| launches.iter().map(of).max().unwrap_or(0);
    Launch {
        span: Span {
            first: launches.first().map_or(0, |launch| launch.span.first),
            count: launches.iter().map(|launch| launch.span.count).sum(),
        },
        area: most(&|launch| launch.area),
        channels: most(&|launch| launch.channels),
    }
}

/// One target for each of `records`, which begin at `first` in the table: the gradient whose start
/// is in the record's field `TARGET`.
pub(super) fn targets(table: &mut RecordTable, records: &[Record], first: u32) -> Launch {
    let own = (first..)
        .zip(records)
        .map(|(at, record)| target(record, record.get(field::TARGET), at, 1, false));
    let own: Vec<Record> = own.collect();
    over_sources(table, &own)
}

/// One target for each source that `records` read: all of them add to its gradient.
pub(super) fn by_source(table: &mut RecordTable, records: &[Record]) -> Launch {
    let mut sources: Vec<u32> = records.iter().map(|record| record.get(field::SOURCE)).collect();
    sources.sort_unstable();
    sources.dedup();
    let mut all = Vec::new();
    for source in sources {
        let of_source: Vec<Record> = records
            .iter()
            .filter(|record| record.get(field::SOURCE) == source)
            .copied()
            .collect();
        let span = table.push(of_source.iter().copied());
        all.extend(
            of_source
                .first()
                .map(|record| target(record, source, span.first, span.count, true)),
        );
    }
    over_sources(table, &all)
}

fn target(record: &Record, place: u32, first: u32, count: u32, adds: bool) -> Record {
    let kept = [field::INPUTS, field::IN_HEIGHT, field::IN_WIDTH];
    kept.into_iter()
        .fold(Record::new(), |target, name| {
            target.with(name, record.get(name) as usize)
        })
        .with(field::TARGET, place as usize)
        .with(field::FIRST, first as usize)
        .with(field::COUNT, count as usize)
        .with(field::ADDS, usize::from(adds))
}

/// Puts `targets` into the table; returns the grid over the tensors that they are gradients of.
fn over_sources(table: &mut RecordTable, targets: &[Record]) -> Launch {
    let most = |of: &dyn Fn(&Record) -> u32| targets.iter().map(of).max().unwrap_or(0) as usize;
    Launch {
        span: table.push(targets.iter().copied()),
        area: most(&|target| target.get(field::IN_HEIGHT) * target.get(field::IN_WIDTH)),
        channels: most(&|target| target.get(field::INPUTS)),
    }
}
