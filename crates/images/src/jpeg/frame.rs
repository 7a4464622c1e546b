//! The frame of a JPEG file: its components, filled scan by scan (ITU-T T.81, A.1, A.2 and B.2).
//!
//! Contract: [`Frame::is_complete`] reports whether the scans have sent everything that they began.

use super::Flaw;
use super::huffman::HuffmanTable;
use super::scan::{Block, Codes, Holds, Scan};
use super::transform;
use super::upsample::Plane;

/// Maximum number of scans per file; encoders write about ten.
const MOST_SCANS: usize = 100;
/// In [`Component::lacks`]: no scan has sent this coefficient yet.
const UNSENT: u8 = u8::MAX;

/// The most recently defined tables.
#[derive(Default)]
pub struct Tables {
    pub dc: [Option<HuffmanTable>; 4],
    pub ac: [Option<HuffmanTable>; 4],
    /// In the order of a block.
    pub quantisers: [Option<[u16; 64]>; 4],
}

/// One colour component of the image.
struct Component {
    id: u8,
    /// Blocks per interleaved unit, horizontally and vertically.
    across: usize,
    down: usize,
    /// Blocks in a scan of this component alone, horizontally and vertically.
    columns: usize,
    rows: usize,
    /// Blocks per row, and rows, rounded up to complete units.
    stride: usize,
    whole_rows: usize,
    /// Number of its quantiser, and its values when the first scan of the component began.
    quantiser: usize,
    quantised_by: Option<[u16; 64]>,
    /// How many low bits each coefficient still lacks, in coding order.
    lacks: [u8; 64],
    /// The last DC coefficient.
    dc: i32,
    /// Coefficients of every block, only while a progressive file is read.
    blocks: Vec<Block>,
    /// Samples of every block.
    samples: Vec<u8>,
}

/// The content of the frame header, and the data from the scans so far.
pub struct Frame {
    pub progressive: bool,
    pub width: usize,
    pub height: usize,
    components: Vec<Component>,
    /// The largest sampling factors.
    most_across: usize,
    most_down: usize,
    units_across: usize,
    units_down: usize,
    scans: usize,
}

/// A component's part in a scan.
struct ScanComponent<'a> {
    component: &'a mut Component,
    codes: Codes<'a>,
    quantiser: [u16; 64],
}

impl Frame {
    /// Parses the frame header; `marker` is the kind of frame.
    pub fn new(marker: u8, header: &[u8]) -> Result<Self, Flaw> {
        const CONTRADICTION: Flaw = Flaw::Damaged("its header contradicts itself");
        let progressive = match marker {
            0xc0 | 0xc1 => false,
            0xc2 => true,
            0xc9 | 0xca | 0xcd | 0xce => return Err(Flaw::Unsupported("JPEG with arithmetic coding")),
            0xc3 | 0xc7 | 0xcb | 0xcf => return Err(Flaw::Unsupported("lossless JPEG")),
            _ => return Err(Flaw::Unsupported("hierarchical JPEG")),
        };
        let &[precision, h1, h0, w1, w0, count, ref specifications @ ..] = header else {
            return Err(CONTRADICTION);
        };
        if precision != 8 {
            return Err(Flaw::Unsupported("JPEG whose samples do not have 8 bits"));
        }
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        if height == 0 {
            return Err(Flaw::Unsupported("JPEG that states its height after its data"));
        }
        if width == 0 || specifications.len() != 3 * usize::from(count) {
            return Err(CONTRADICTION);
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Flaw::Unsupported("JPEG whose number of components is not 1, 3 or 4"));
        }
        let factors = |specification: &[u8]| {
            // Sampling factors have no effect on a single component.
            let factors = if count == 1 { 0x11 } else { specification[1] };
            (usize::from(factors >> 4), usize::from(factors & 15))
        };
        let all: Vec<(usize, usize)> = specifications.chunks_exact(3).map(factors).collect();
        if all
            .iter()
            .any(|(across, down)| !(1..=4).contains(across) || !(1..=4).contains(down))
        {
            return Err(CONTRADICTION);
        }
        let most_across = all.iter().map(|factors| factors.0).max().unwrap_or(1);
        let most_down = all.iter().map(|factors| factors.1).max().unwrap_or(1);
        if all
            .iter()
            .any(|(across, down)| most_across % across != 0 || most_down % down != 0)
        {
            return Err(Flaw::Unsupported("JPEG with components of fractional size"));
        }
        let (units_across, units_down) = (width.div_ceil(8 * most_across), height.div_ceil(8 * most_down));
        let component = |(specification, (across, down)): (&[u8], (usize, usize))| Component {
            id: specification[0],
            across,
            down,
            columns: (width * across).div_ceil(8 * most_across),
            rows: (height * down).div_ceil(8 * most_down),
            stride: units_across * across,
            whole_rows: units_down * down,
            quantiser: specification[2].into(),
            quantised_by: None,
            lacks: [UNSENT; 64],
            dc: 0,
            blocks: Vec::new(),
            samples: Vec::new(),
        };
        Ok(Self {
            progressive,
            width,
            height,
            components: specifications.chunks_exact(3).zip(all).map(component).collect(),
            most_across,
            most_down,
            units_across,
            units_down,
            scans: 0,
        })
    }

    /// The identifiers of the 1, 3 or 4 components.
    pub fn ids(&self) -> Vec<u8> {
        self.components.iter().map(|component| component.id).collect()
    }

    /// Reads the scan with this header, whose data begins at index `at` of `bytes`; returns the
    /// index of its end.
    pub fn scan(
        &mut self,
        header: &[u8],
        tables: &Tables,
        restart_interval: usize,
        bytes: &[u8],
        at: usize,
    ) -> Result<usize, Flaw> {
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(Flaw::Damaged("it has more than 100 scans"));
        }
        let units = (self.units_across, self.units_down);
        let (holds, mut parts) = self.parts(header, tables)?;
        let (across, down) = match &parts[..] {
            [part] => (part.component.columns, part.component.rows),
            _ => units,
        };
        let alone = parts.len() == 1;
        let mut scan = Scan::new(bytes, at, holds);
        let mut until_restart = restart_interval;
        for row in 0..down {
            for column in 0..across {
                if restart_interval > 0 {
                    if until_restart == 0 {
                        scan.restart()?;
                        parts.iter_mut().for_each(|part| part.component.dc = 0);
                        until_restart = restart_interval;
                    }
                    until_restart -= 1;
                }
                for part in &mut parts {
                    let (wide, high) = if alone {
                        (1, 1)
                    } else {
                        (part.component.across, part.component.down)
                    };
                    for y in 0..high {
                        for x in 0..wide {
                            part.block(&mut scan, row * high + y, column * wide + x)?;
                        }
                    }
                }
            }
        }
        Ok(scan.end())
    }

    /// Parses the header of a scan.
    fn parts<'a>(&'a mut self, header: &[u8], tables: &'a Tables) -> Result<(Holds, Vec<ScanComponent<'a>>), Flaw> {
        const CONTRADICTION: Flaw = Flaw::Damaged("the header of a scan contradicts itself");
        let count = usize::from(*header.first().ok_or(CONTRADICTION)?);
        if header.len() != 4 + 2 * count || !(1..=self.components.len()).contains(&count) {
            return Err(CONTRADICTION);
        }
        let (selectors, rest) = header[1..].split_at(2 * count);
        let (first, last, high, low) = (rest[0], rest[1], rest[2] >> 4, rest[2] & 15);
        let holds = match (self.progressive, first, high) {
            (false, ..) => Holds::Everything,
            (true, 0, 0) => Holds::FirstDc { low },
            (true, 0, _) => Holds::MoreOfDc { low },
            (true, _, 0) => Holds::FirstAc { first, last, low },
            (true, ..) => Holds::MoreOfAc { first, last, low },
        };
        let (range, high, low) = match holds {
            Holds::Everything => (0..=63, 0, 0),
            _ => (first..=last, high, low),
        };
        let is_dc = *range.start() == 0 && self.progressive;
        if *range.end() > 63 || range.is_empty() || low > 13 || is_dc && last > 0 || *range.start() > 0 && count > 1 {
            return Err(CONTRADICTION);
        }
        let mut parts = Vec::with_capacity(count);
        for component in &mut self.components {
            let Some(selector) = selectors.chunks_exact(2).find(|selector| selector[0] == component.id) else {
                continue;
            };
            for coefficient in range.clone() {
                let lacks = &mut component.lacks[usize::from(coefficient)];
                // Refinements continue where the last scan stopped, and nothing is sent twice.
                if *lacks != if high > 0 { high } else { UNSENT } {
                    return Err(Flaw::Damaged("its scans are repeated or in the wrong order"));
                }
                *lacks = low;
            }
            let codes = Codes {
                dc: tables.dc.get(usize::from(selector[1] >> 4)).and_then(Option::as_ref),
                ac: tables.ac.get(usize::from(selector[1] & 15)).and_then(Option::as_ref),
            };
            let quantiser = match component.quantised_by {
                Some(quantiser) => quantiser,
                None => {
                    let quantiser = tables.quantisers.get(component.quantiser).copied().flatten();
                    quantiser.ok_or(Flaw::Damaged("a quantisation table is missing"))?
                }
            };
            component.begin(self.progressive, quantiser);
            parts.push(ScanComponent {
                component,
                codes,
                quantiser,
            });
        }
        if parts.len() != count {
            return Err(CONTRADICTION);
        }
        // Units contain the components in the order of the scan.
        parts.sort_by_key(|part| selectors.iter().step_by(2).position(|&id| id == part.component.id));
        Ok((holds, parts))
    }

    /// Whether the scans have sent everything: every DC coefficient, and the last bit of each
    /// coefficient that they began.
    pub(crate) fn is_complete(&self) -> bool {
        self.components.iter().all(|component| {
            component.lacks[0] == 0 && component.lacks.iter().all(|&lacks| lacks == 0 || lacks == UNSENT)
        })
    }

    /// Computes the samples, after the last scan.
    pub fn finish(&mut self) {
        for component in &mut self.components {
            let quantiser = component.quantised_by.unwrap_or([0; 64]);
            for (at, block) in std::mem::take(&mut component.blocks).iter().enumerate() {
                component.transform(at / component.stride, at % component.stride, block, &quantiser);
            }
        }
    }

    /// The samples of the components.
    pub fn planes(&self) -> Vec<Plane<'_>> {
        let planes = self.components.iter().map(|component| Plane {
            samples: &component.samples,
            stride: 8 * component.stride,
            width: (self.width * component.across).div_ceil(self.most_across),
            height: (self.height * component.down).div_ceil(self.most_down),
            across: self.most_across / component.across,
            down: self.most_down / component.down,
        });
        planes.collect()
    }
}

impl Component {
    /// Prepares a scan; the first one fixes the quantiser.
    fn begin(&mut self, progressive: bool, quantiser: [u16; 64]) {
        self.dc = 0;
        if self.quantised_by.is_some() {
            return;
        }
        self.quantised_by = Some(quantiser);
        let blocks = self.stride * self.whole_rows;
        self.samples = vec![0; 64 * blocks];
        if progressive {
            self.blocks = vec![[0; 64]; blocks];
        }
    }

    /// Computes the samples of a block.
    fn transform(&mut self, row: usize, column: usize, block: &Block, quantiser: &[u16; 64]) {
        let stride = 8 * self.stride;
        transform::samples(
            block,
            quantiser,
            &mut self.samples[8 * (row * stride + column)..],
            stride,
        );
    }
}

impl ScanComponent<'_> {
    #[inline]
    fn block(&mut self, scan: &mut Scan, row: usize, column: usize) -> Result<(), Flaw> {
        let component = &mut *self.component;
        if let Some(block) = component.blocks.get_mut(row * component.stride + column) {
            return scan.block(self.codes, &mut component.dc, block);
        }
        let mut block = [0; 64];
        scan.block(self.codes, &mut component.dc, &mut block)?;
        component.transform(row, column, &block, &self.quantiser);
        Ok(())
    }
}
