//! Ends a process that runs out of memory: restores the terminal, then prints one message and exits
//! with a code, without another allocation.

use std::io::Write;

use da2s_engine::Allocator;

use crate::dashboard::screen;
use crate::exit::Code;
use crate::interrupt::abort;

/// Handles every allocation of the program.
#[global_allocator]
static MEMORY: Allocator = Allocator::new(exhausted);

/// Reports that `bytes` could not be allocated, and exits. The run stays at its last checkpoint.
fn exhausted(bytes: usize) -> ! {
    // A thread that is drawing finishes first, or runs out of memory too.
    screen::give_back();
    // This write does not allocate or lock a buffer.
    let _ = writeln!(
        std::io::stderr(),
        "da2s: not enough memory: another {bytes} bytes could not be allocated; lower the batch size, the channels or the cells, or give \
         the process more memory; a run that has begun resumes with --resume"
    );
    abort(Code::Memory)
}
