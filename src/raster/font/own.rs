//! Our own fonts: 11 and 13 rows, all letters of Vietnamese and ASCII, no two alike.
//!
//! Eleven rows are the least in which no letter is lost: a panel of 32 rows shows two lines of
//! loa-11 or of loa-13, one of 16 rows shows one. The BDF files beside the drawings are what
//! firmware makers take; a test holds that they are what the drawings make.
//!
//! To change a letter: edit the drawing, run the example `fonts`, look at the specimen.

/// Stands in the BDF files.
pub const COPYRIGHT: &str = "The Loa authors; MIT OR Apache-2.0";

/// Name and drawings of each font.
pub const SOURCES: [(&str, &str); 2] = [
    ("loa-11", include_str!("../fonts/loa-11.txt")),
    ("loa-13", include_str!("../fonts/loa-13.txt")),
];
