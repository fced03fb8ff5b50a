//! `headwater demo` ends by itself, green, and leaves nothing behind.

mod support;

use support::{Process, headwater};

#[test]
fn the_demo_holds_what_it_promises() {
    let dir = tempfile::tempdir().expect("a directory");
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).expect("a directory");
    let mut command = headwater(["demo"]);
    // No way out to any network but the loopback: a proxy that does not exist would be asked for anything else.
    command.current_dir(dir.path()).env("TMPDIR", &temporary).env("https_proxy", "http://127.0.0.1:9");
    let finished = Process::start(&mut command).finish().code(0);
    let all = finished.stdout.join("\n");
    let rows = finished.stdout.iter().filter(|line| line.trim_start().starts_with("row {")).count();
    assert_eq!(rows, 10, "{all}");
    for part in ["checkpoint", "the server has deleted 12 of 12 messages", "INSERT INTO print_sink", "报表/十一月.csv"]
    {
        assert!(all.contains(part), "{part:?} is not in\n{all}");
    }
    let last: Vec<_> = finished.stdout.iter().rev().take(5).rev().map(|line| line.trim()).collect();
    assert!(last[0].starts_with("sent 12 messages (10 uploads), delivered 1"), "{all}");
    assert!(last[2].starts_with("duplicates suppressed "), "{all}");
    assert_eq!([last[1], last[3], last[4]], ["rows 10, each upload once", "deleted 12", "left in the queue 0"]);
    assert_eq!(finished.stderr, Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&temporary).expect("it is there").count(), 0, "the temporary directory is gone");
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 1, "nothing else was written");
}
