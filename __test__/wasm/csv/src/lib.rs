//! Parses CSV that is anywhere in the memory of this module, by csv-core: the bytes may be a file's, laid there by
//! `map.into`.

use csv_core::{ReadFieldResult, Reader};

/// Parses `length` bytes from `start` on, and adds the numbers of the field `column` of all records up. What is no
/// number counts as 0, as the names of the columns do.
///
/// The bytes may change, or become zeros, at any time: no reference to them is kept, and the parser takes any.
#[no_mangle]
pub extern "C" fn sum(start: *const u8, length: usize, column: u32) -> f64 {
    let mut total = 0.0;
    each_field(start, length, |field, text| {
        if field == column {
            total += number(text);
        }
    });
    total
}

/// How many records there are in `length` bytes from `start` on.
#[no_mangle]
pub extern "C" fn records(start: *const u8, length: usize) -> u32 {
    let mut count = 0;
    each_field(start, length, |field, _| count += u32::from(field == 0));
    count
}

/// Calls `look` with the number of each field in its record, and its first bytes, unescaped.
fn each_field(start: *const u8, length: usize, mut look: impl FnMut(u32, &[u8])) {
    let mut reader = Reader::new();
    let mut text = [0u8; 64];
    let (mut at, mut held, mut field) = (0, 0, 0);
    loop {
        let piece = (length - at).min(1 << 16);
        // SAFETY: the caller gives a range of this module's memory. The parser reads it byte by byte.
        let input = unsafe { std::slice::from_raw_parts(start.wrapping_add(at), piece) };
        let (result, read, written) = reader.read_field(input, &mut text[held..]);
        at += read;
        held += written;
        match result {
            ReadFieldResult::InputEmpty => {}
            ReadFieldResult::OutputFull => held = text.len() / 2, // the rest of a long field is not looked at
            ReadFieldResult::Field { record_end } => {
                look(field, &text[..held]);
                held = 0;
                field = if record_end { 0 } else { field + 1 };
            }
            ReadFieldResult::End => return,
        }
    }
}

fn number(text: &[u8]) -> f64 {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1.0, rest),
        _ => (1.0, text),
    };
    let (mut value, mut scale, mut fraction) = (0.0, 1.0, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10.0 + f64::from(byte - b'0');
                scale *= if fraction { 10.0 } else { 1.0 };
            }
            b'.' if !fraction => fraction = true,
            _ => return 0.0,
        }
    }
    sign * value / scale
}
