//! JPEG files taken apart for RFC 2435: what its packets carry, and the tables it takes for granted.

use std::sync::Arc;

/// One picture.
#[derive(Clone, Debug)]
pub struct Jpeg {
    /// The whole file.
    pub file: Arc<Vec<u8>>,
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// RFC 2435's type: 0 for 4:2:2, 1 for 4:2:0.
    pub kind: u8,
    /// Quantization tables of luma and chroma, as they stand in the file.
    pub tables: [[u8; 64]; 2],
    /// MCUs between restart markers; 0: none.
    pub restart: u16,
    /// Entropy-coded bytes, without EOI.
    pub scan: Vec<u8>,
}

impl Jpeg {
    /// The pictures of a stream of files.
    pub fn all(stream: &[u8]) -> Vec<Self> {
        let mut starts: Vec<usize> =
            stream.windows(3).enumerate().filter(|(_, w)| *w == [0xff, 0xd8, 0xff]).map(|(at, _)| at).collect();
        starts.push(stream.len());
        starts.windows(2).map(|w| Self::of(&stream[w[0]..w[1]])).collect()
    }

    fn of(file: &[u8]) -> Self {
        let short = |at: usize| u16::from_be_bytes([file[at], file[at + 1]]);
        let mut picture = Self {
            file: Arc::new(file.to_vec()),
            size: (0, 0),
            kind: 1,
            tables: [[0; 64]; 2],
            restart: 0,
            scan: Vec::new(),
        };
        let mut at = 2;
        loop {
            let (marker, length) = (file[at + 1], usize::from(short(at + 2)));
            let body = at + 4;
            match marker {
                0xdb => {
                    for table in file[body..at + 2 + length].chunks(65) {
                        picture.tables[usize::from(table[0] & 1)].copy_from_slice(&table[1..65]);
                    }
                    if length == 67 {
                        picture.tables[1] = picture.tables[0];
                    }
                }
                0xc0 => {
                    picture.size = (short(body + 3), short(body + 1));
                    picture.kind = u8::from(file[body + 7] == 0x22);
                }
                0xdd => picture.restart = short(body),
                0xda => {
                    let end = file.windows(2).rposition(|w| w == [0xff, 0xd9]).unwrap_or(file.len());
                    picture.scan = file[at + 2 + length..end].to_vec();
                    return picture;
                }
                _ => {}
            }
            at += 2 + length;
        }
    }
}

/// Annex K of ITU-T T.81, row by row.
const LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA: [u16; 16] = [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99];
/// Where the n-th value of a file's table stands, row by row.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// The tables of a quality from 1 to 99, row by row.
pub fn matrices(quality: u16) -> ([u8; 64], [u8; 64]) {
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    let scaled = |value: u16| ((u32::from(value) * u32::from(scale) + 50) / 100).clamp(1, 255) as u8;
    let chroma = |at: usize| if at % 8 < 4 && at / 8 < 4 { CHROMA[at / 8 * 4 + at % 8] } else { 99 };
    (std::array::from_fn(|at| scaled(LUMA[at])), std::array::from_fn(|at| scaled(chroma(at))))
}

/// The tables of a quality in the order of a file.
pub fn tables(quality: u16) -> [[u8; 64]; 2] {
    let (luma, chroma) = matrices(quality);
    [std::array::from_fn(|n| luma[ZIGZAG[n]]), std::array::from_fn(|n| chroma[ZIGZAG[n]])]
}
