//! Answers in a content coding.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::fault::Coding;
use super::http::Outgoing;

/// Quality of brotli, of 0 to 11: the quickest one that is not the worst.
const BROTLI_QUALITY: u32 = 4;

/// log2 of brotli's window, as most servers have it.
const BROTLI_WINDOW: u32 = 22;

/// zstd's usual level.
const ZSTD_LEVEL: i32 = 3;

/// How a zstd frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The descriptor of a window of 2 GiB: 10 and 21 make its logarithm.
const WINDOW_OF_2_GIB: u8 = 21 << 3;

/// The bit that marks a frame's last block.
const LAST_BLOCK: u32 = 1;

/// The bytes that are coded at a time.
const PIECE: usize = 1 << 16;

/// The answer in this coding, with so many spaces after its text.
pub(super) fn coded(
    mut answer: Outgoing,
    coding: Coding,
    is_announced: bool,
    padding: usize,
) -> io::Result<Outgoing> {
    answer.body = match coding {
        Coding::Gzip => {
            let mut coder = GzEncoder::new(Vec::new(), Compression::default());
            padded(&mut coder, &answer.body, padding)?;
            coder.finish()?
        }
        Coding::Brotli => {
            let mut body = Vec::new();
            let mut coder =
                brotli::CompressorWriter::new(&mut body, PIECE, BROTLI_QUALITY, BROTLI_WINDOW);
            padded(&mut coder, &answer.body, padding)?;
            drop(coder);
            body
        }
        Coding::Zstd => {
            let mut coder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
            padded(&mut coder, &answer.body, padding)?;
            coder.finish()?
        }
        Coding::ZstdOfHugeWindow => {
            let mut text = Vec::new();
            padded(&mut text, &answer.body, padding)?;
            of_huge_window(&text)
        }
    };
    if is_announced {
        let name = match coding {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd | Coding::ZstdOfHugeWindow => "zstd",
        };
        answer
            .headers
            .push(("content-encoding".into(), name.into()));
    }
    Ok(answer)
}

/// A frame of one block that is not compressed (RFC 8878, section 3.1.1). No encoder writes such a window.
fn of_huge_window(text: &[u8]) -> Vec<u8> {
    let mut frame = MAGIC.to_vec();
    frame.extend([0, WINDOW_OF_2_GIB]);
    let block_length = u32::try_from(text.len()).expect("a short text");
    frame.extend(&(block_length << 3 | LAST_BLOCK).to_le_bytes()[..3]);
    frame.extend(text);
    frame
}

fn padded(coder: &mut impl Write, text: &[u8], padding: usize) -> io::Result<()> {
    coder.write_all(text)?;
    let spaces = [b' '; PIECE];
    let mut rest = padding;
    while rest > 0 {
        let count = rest.min(PIECE);
        coder.write_all(&spaces[..count])?;
        rest -= count;
    }
    Ok(())
}
