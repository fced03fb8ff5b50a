//! Room for recursion while a script is read and planned.

use std::thread;

/// The parser takes up to 90 KB of stack for a level (`NOT NOT …`), and gives up after 50. Expressions are trees as deep as the longest chain of operators (1,000, see `parse::dialect`), and the parser's
/// printing takes some 10 KB of stack for each level in a build without optimisation. Memory is taken only as it is used.
const STACK_BYTES: usize = 64 << 20;

/// Runs `work` with a large stack and waits for it. A panic inside goes on outside.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut work = Some(work);
    let ran = thread::scope(|scope| {
        let thread = thread::Builder::new().name("headwater-plan".to_owned()).stack_size(STACK_BYTES);
        let spawned = thread.spawn_scoped(scope, || work.take().map(|work| work()));
        // Without a thread to be had the caller's own stack has to do, which it does for all scripts people write.
        let result = spawned.ok()?.join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    ran.unwrap_or_else(|| work.take().expect("the work has not run: no thread took it")())
}
