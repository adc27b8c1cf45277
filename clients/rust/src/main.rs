//! What a Rust program does beside Node: it locks the same mutex, and answers through the same kind of channel.
//!
//! ```sh
//! cargo run --manifest-path clients/rust/Cargo.toml -- work.bin 1000
//! ```
//!
//! The file is made by Node: a mutex at byte 0, a number at byte 8, channels at bytes 4096 (to this program) and
//! 32,768 (from it). Adds one to the number as often as it is told, each time with the mutex held, and then sends each
//! message back, up to one that is empty.

use std::path::Path;
use std::process::ExitCode;

use memory_map::ipc::{Channel, Locked, Mutex, Patience};
use memory_map::{FileOptions, Mapping, Options, Result, Source};

const MUTEX: usize = 0;
const NUMBER: usize = 8;
const INBOX: usize = 4096;
const OUTBOX: usize = 32_768;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next();
    let Some((file, times)) = file.zip(arguments.next().and_then(|times| times.parse().ok()))
    else {
        eprintln!("usage: memory-map-client FILE TIMES");
        return ExitCode::FAILURE;
    };
    match run(Path::new(&file), times) {
        Ok(recovered) => {
            println!("recovered: {recovered}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Says how often the last owner of the mutex had died while it held it.
fn run(file: &Path, times: u64) -> Result<u64> {
    let map = Mapping::shared(Source::Path(file), &FileOptions::default(), &Options::default())?;
    let recovered = count(&map, times)?;
    answer(&map)?;
    Ok(recovered)
}

fn count(map: &Mapping, times: u64) -> Result<u64> {
    let mutex = Mutex::new(map, MUTEX)?;
    let mut recovered = 0;
    for _ in 0..times {
        if mutex.lock(&Patience::FOREVER)? == Some(Locked::Recovered) {
            recovered += 1; // a program that keeps more than one number there would repair it here
        }
        let mut number = [0; 8];
        map.read(NUMBER, &mut number)?;
        map.write(&(u64::from_le_bytes(number) + 1).to_le_bytes(), NUMBER)?;
        mutex.unlock()?;
    }
    Ok(recovered)
}

fn answer(map: &Mapping) -> Result<()> {
    let (inbox, outbox) = (Channel::open(map, INBOX)?, Channel::open(map, OUTBOX)?);
    while let Some(message) = inbox.receive(Some(&Patience::FOREVER))? {
        let mut bytes = vec![0; message.length()];
        inbox.read(&message, &mut bytes)?;
        inbox.release(message)?;
        if bytes.is_empty() {
            break;
        }
        outbox.send(&bytes, Some(&Patience::FOREVER))?;
    }
    Ok(())
}
