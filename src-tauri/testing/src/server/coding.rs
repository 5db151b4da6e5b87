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
    };
    if is_announced {
        let name = match coding {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        };
        answer
            .headers
            .push(("content-encoding".into(), name.into()));
    }
    Ok(answer)
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
