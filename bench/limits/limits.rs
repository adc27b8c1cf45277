//! What a mapping costs in Rust over memmap2; the same questions and answers as in limits.c.

use std::{env, error::Error, fs::File, hint::black_box, time::Instant};

use memmap2::Mmap;

fn map(file: &str) -> Result<Mmap, Box<dyn Error>> {
    // SAFETY: nothing changes the benchmark's files while it reads them.
    Ok(unsafe { Mmap::map(&File::open(file)?)? })
}

fn elements<T: Copy>(bytes: &[u8]) -> &[T] {
    // SAFETY: any bits are a number, and the mapping begins at a page.
    let (before, elements, _) = unsafe { bytes.align_to::<T>() };
    assert!(before.is_empty());
    elements
}

fn sum(bytes: &[u8], kind: &str) {
    match kind {
        "u8" => drop(black_box(bytes.iter().map(|&x| u64::from(x)).sum::<u64>())),
        "u32" => drop(black_box(elements::<u32>(bytes).iter().map(|&x| u64::from(x)).sum::<u64>())),
        _ => drop(black_box(elements::<f64>(bytes).iter().sum::<f64>())),
    }
}

fn randomly(bytes: &[u8], count: u64) {
    let numbers = elements::<f64>(bytes);
    let (mut state, mut total) = (1u32, 0.0);
    for _ in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        total += numbers[(u64::from(state) * numbers.len() as u64 >> 32) as usize];
    }
    black_box(total);
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().collect();
    let [_, what, file, argument] = &args[..] else {
        return Err("limits WHAT FILE ARGUMENT".into());
    };
    if what == "open" {
        let (begin, limit) = (Instant::now(), argument.parse()?);
        let mut times = Vec::new();
        while begin.elapsed().as_millis() < limit && times.len() < 100_000 {
            let start = Instant::now();
            black_box(map(file)?[8]);
            times.push(format!("{:.3}", start.elapsed().as_secs_f64() * 1e6));
        }
        println!("{{\"time\":[{}]}}", times.join(","));
        return Ok(());
    }
    let sums = what == "sum";
    let unit = if sums { 1e3 } else { 1e9 / argument.parse::<f64>()? };
    let mut start = Instant::now();
    let bytes = map(file)?;
    let mut times = [0.0; 2];
    for time in &mut times {
        if sums {
            sum(&bytes, argument)
        } else {
            randomly(&bytes, argument.parse()?)
        }
        *time = start.elapsed().as_secs_f64() * unit;
        start = Instant::now();
    }
    println!("{{\"first\":[{}],\"again\":[{}]}}", times[0], times[1]);
    Ok(())
}
