//! A way past the standard library's set-up, for programs that live for a millisecond.
//!
//! Before `main` the standard library reads `/proc/self/maps` to find the stack's guard page, makes an alternate signal
//! stack, asks the scheduler for our CPUs and looks at every standard stream: a tenth of what `start` of a container takes
//! in all. What runs before that has the C library and the arguments, and no handler that tells of a stack overflow.

use std::ffi::OsString;
use std::panic::catch_unwind;

/// Has a function `fn(Vec<OsString>) -> Option<u8>` decide before `main`, with the program's arguments: `Some` ends the
/// program with that exit code, `None` goes on to `main` as if nothing had been.
#[macro_export]
macro_rules! before_main {
    ($decide:path) => {
        const _: () = {
            extern "C" fn decide() {
                $crate::early::decide($decide);
            }
            // The C library calls what this section points to, in order: the standard library's own entry, which keeps the
            // arguments, has a priority and so comes first.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static DECIDE: extern "C" fn() = decide;
        };
    };
}

/// What [`before_main!`] calls.
#[doc(hidden)]
pub fn decide(decide: fn(Vec<OsString>) -> Option<u8>) {
    /// What the standard library gives a program that panics.
    const PANICKED: u8 = 101;
    let code = catch_unwind(|| {
        let code = decide(std::env::args_os().collect())?;
        Some(code)
    })
    .unwrap_or(Some(PANICKED));
    if let Some(code) = code {
        // Flushes standard output, too.
        std::process::exit(i32::from(code));
    }
}
