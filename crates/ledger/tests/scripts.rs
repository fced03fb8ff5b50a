//! Scripts: the ledger's behaviour as stories that can be read.
//!
//! A line that begins with `> ` is a command, the indented lines after it are the expected answer, everything else is
//! prose. After every command the whole ledger is checked. `REWRITE=1 cargo test --test scripts` writes the answers as
//! they are now; look at the difference before keeping it.

mod script;

use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            script::run(&folder().join(concat!(stringify!($name), ".txt")));
        })*

        #[test]
        fn every_script_is_run() {
            let mut found: Vec<String> = std::fs::read_dir(folder()).unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
            found.sort();
            assert_eq!(found, [$(stringify!($name)),*], "list every file of tests/scripts here, in order");
        }
    };
}

scripts! {
    abort_and_retry
    barrier_inside_a_batch
    commit_implies_earlier
    crowded_answers
    delete_lost_answer
    delete_partial_failure
    delete_retry_and_redelivery
    due_blocked
    due_count_and_bytes
    due_interval
    due_lease
    extend
    extend_and_commit
    extend_and_redelivery
    extend_denied
    extend_failures
    extend_limits
    extend_release
    forget_grace
    forget_older_receive
    forget_retention
    full_ledger
    ghosts
    handle_order
    handle_order_without_counts
    ids_and_epochs
    late_answer_after_delete
    lifecycle
    log
    log_full
    log_recall
    messages_without_rows
    permits
    redelivery_in_each_stage
    release_at_drain
    restore
    restore_chain
    restore_shards
    retract_and_release
    stale_delete_accepted
}
