//! The newest value: what was written last is read; and where something else stores to its memory, now
//! and then or all the time, there are errors or other values, and nothing outside is touched.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_map::Error;
use memory_map::ipc::{Latest, Patience};

use super::{Input, Victim};

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let max = 8 * (1 + usize::from(input.byte() % 32));
    let fire = input.fire();
    let length = Latest::size_for(max);
    let victim = Victim::new(length / 8, |victim| {
        // The slot that is read next.
        let number = victim.word(2).load(Ordering::Relaxed);
        8 + (number % 3) as usize * (victim.words - 8) / 3
    });
    let damaged = Cell::new(!fire.is_empty());
    let allow = |error: &Error| {
        matches!(error, Error::OutOfRange { .. })
            || damaged.get() && matches!(error, Error::Invalid(_) | Error::Busy(_))
    };
    victim.under_fire(fire, || {
        let (mut value, mut version) = (None, 0);
        let mut latest: Option<Latest> = None;
        for _ in 0..64 {
            if input.is_over() {
                break;
            }
            let what = input.byte();
            let patience = Patience::of(Duration::from_micros(u64::from(input.byte())));
            let Some(latest) = latest.as_ref().filter(|_| what % 8 != 0) else {
                match Latest::new(&victim.map, victim.start, length) {
                    Ok(new) => latest = Some(new),
                    Err(error) => assert!(allow(&error), "{error:?}"),
                }
                continue;
            };
            assert_eq!(latest.max_length(), max);
            match what % 8 {
                1 | 2 => {
                    let bytes: Vec<u8> =
                        (0..input.below(max + 2)).map(|i| what ^ i as u8).collect();
                    match latest.write(&bytes, &patience) {
                        Ok(true) => {
                            assert!(bytes.len() <= max);
                            (value, version) = (Some(bytes), version + 1);
                        }
                        Ok(false) => assert!(damaged.get(), "nobody else writes"),
                        Err(error) => assert!(allow(&error), "{error:?}"),
                    }
                }
                3 | 4 => {
                    let mut bytes = vec![0; input.below(max + 2)];
                    match latest.read(&mut bytes) {
                        Ok(length) => {
                            assert!(length.is_none_or(|length| length <= max));
                            let expected = value.as_ref().map(Vec::len);
                            assert!(damaged.get() || length == expected, "{length:?}");
                            if let (false, Some(expected)) = (damaged.get(), &value) {
                                let whole = bytes.get(..expected.len());
                                assert!(whole.is_none_or(|whole| whole == expected));
                            }
                        }
                        Err(error) => assert!(allow(&error), "{error:?}"),
                    }
                }
                5 => {
                    let seen = latest.version().expect("it can be read");
                    assert!(damaged.get() || seen == version, "{seen} {version}");
                }
                6 => {
                    let changed = latest.wait(input.number(), &patience);
                    changed.expect("it can be waited for");
                }
                _ => {
                    damaged.set(true);
                    victim.damage(&mut input);
                }
            }
        }
    });
    victim.check();
}
