//! The end of a process whose memory is used up: the terminal is given back, then one sentence and
//! an exit code, without another allocation.

use std::io::Write;

use da2s_engine::Allocator;

use crate::dashboard::screen;
use crate::exit::Code;
use crate::interrupt::abort;

/// Every allocation of the program goes through it.
#[global_allocator]
static MEMORY: Allocator = Allocator::new(exhausted);

/// Says that so many bytes could not be had, and ends. A run is as its last checkpoint left it.
fn exhausted(bytes: usize) -> ! {
    // Whoever draws meanwhile ends, or comes here as well.
    screen::give_back();
    // Nobody else is written to by then, and no buffer grows.
    let _ = writeln!(
        std::io::stderr(),
        "da2s: not enough memory: {bytes} bytes more could not be had; lower the batch size, the channels or the cells, or give \
         the process more memory; a run that has begun resumes with --resume"
    );
    abort(Code::Memory)
}
