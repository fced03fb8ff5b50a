//! Writes the inputs that the fuzzers start from: `seeds DIR` makes `DIR/TARGET/*`.

use std::fs;
use std::path::Path;

use headwater_formats::Format;

fn main() -> std::io::Result<()> {
    let dir = std::env::args().nth(1).expect("usage: seeds DIR");
    for format in Format::all() {
        let own: &[(&str, &[(&str, &str)])] = &[];
        let (_, seeds) = headwater_fuzz::tables(format.name, own);
        let dir = Path::new(&dir).join(format.name);
        fs::create_dir_all(&dir)?;
        for (i, seed) in seeds.iter().enumerate() {
            let mut input = seed.table.to_le_bytes().to_vec();
            input.extend_from_slice(&seed.body);
            fs::write(dir.join(format!("seed-{i:04}")), input)?;
        }
    }
    Ok(())
}
