//! The memory that this process can still allocate: limited by the machine, by its cgroup, and by
//! its address space limit.
//!
//! Contract: read from Linux' files, each of which may be missing; on other systems, or if no file
//! can be read, it is unknown.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::Bytes;

/// Memory that can still be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Its size.
    pub bytes: u64,
    /// What limits it.
    pub bound: Bound,
}

/// What limits the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The machine.
    Machine,
    /// The cgroup, for example of a container.
    Group,
    /// The address space limit of the process.
    Addresses,
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::Machine => "this machine has",
            Bound::Group => "its cgroup has",
            Bound::Addresses => "the limit on addresses (ulimit -v) leaves",
        };
        write!(f, "{bound} {}", Bytes(self.bytes))
    }
}

/// The minimum of all limits that are known here.
pub fn available() -> Option<Available> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    within(&read)
}

/// The same, with files read by `read`.
fn within(read: &dyn Fn(&Path) -> Option<String>) -> Option<Available> {
    let file = |path: &str| read(Path::new(path));
    let machine = file("/proc/meminfo").and_then(|text| {
        let row = |name| kibibytes(&text, name);
        Some(row("MemAvailable:")? + row("SwapFree:").unwrap_or(0))
    });
    let groups = file("/proc/self/cgroup").and_then(|text| of_groups(&text, read));
    let addresses = file("/proc/self/limits").and_then(|text| {
        let limit = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
        let held = kibibytes(&file("/proc/self/status")?, "VmSize:")?;
        Some(limit.saturating_sub(held))
    });
    let bounds = [
        (machine, Bound::Machine),
        (groups, Bound::Group),
        (addresses, Bound::Addresses),
    ];
    let known = bounds
        .into_iter()
        .filter_map(|(bytes, bound)| bytes.map(|bytes| Available { bytes, bound }));
    known.min_by_key(|known| known.bytes)
}

/// A row of a `/proc` file, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let row = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = row.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1 << 10)
}

/// The memory left in the cgroups of `/proc/self/cgroup` and their parents, for both cgroup
/// versions.
fn of_groups(text: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let left = text.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or("/"));
        let path = path.trim_start_matches('/');
        match controllers {
            "" => above(Path::new("/sys/fs/cgroup"), path)
                .filter_map(|folder| of_group(&folder, "memory.max", "memory.current", "inactive_file", read))
                .collect::<Vec<u64>>(),
            of if of.split(',').any(|one| one == "memory") => above(Path::new("/sys/fs/cgroup/memory"), path)
                .filter_map(|folder| {
                    let (limit, held) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
                    of_group(&folder, limit, held, "total_inactive_file", read)
                })
                .collect(),
            _ => Vec::new(),
        }
    });
    left.min()
}

/// `root/path` and its parent folders, up to and including `root`.
fn above(root: &Path, path: &str) -> impl Iterator<Item = PathBuf> {
    let (root, full) = (root.to_owned(), root.join(path));
    let folders: Vec<PathBuf> = full.ancestors().map(Path::to_owned).collect();
    folders.into_iter().filter(move |folder| folder.starts_with(&root))
}

/// The memory left in a cgroup: inactive file cache does not count as used.
fn of_group(
    folder: &Path,
    limit: &str,
    held: &str,
    inactive: &str,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Option<u64> {
    // "max" means no limit.
    let limit: u64 = read(&folder.join(limit))?.trim().parse().ok()?;
    let held: u64 = read(&folder.join(held))?.trim().parse().ok()?;
    let statistics = read(&folder.join("memory.stat")).unwrap_or_default();
    let cached = statistics.lines().find_map(|line| {
        let (name, number) = line.split_once(' ')?;
        (name == inactive).then(|| number.trim().parse::<u64>().ok()).flatten()
    });
    Some(limit.saturating_sub(held.saturating_sub(cached.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Option<(u64, Bound)> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path)?;
            Some(file.1.to_owned())
        };
        within(&read).map(|known| (known.bytes, known.bound))
    }

    #[test]
    fn the_least_bound_counts() {
        let machine = (
            "/proc/meminfo",
            "MemTotal: 9 kB\nMemAvailable:    4096 kB\nSwapFree: 1024 kB\n",
        );
        assert_eq!(of(&[machine]), Some((5120 << 10, Bound::Machine)));
        let second = [
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "1\n"),
            ("/sys/fs/cgroup/a/memory.max", "3000\n"),
            ("/sys/fs/cgroup/a/memory.current", "2500\n"),
            ("/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 500\n"),
        ];
        assert_eq!(of(&[&[machine], &second[..]].concat()), Some((1000, Bound::Group)));
        let first = [
            ("/proc/self/cgroup", "5:cpu:/x\n4:memory,hugetlb:/x\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n"),
        ];
        assert_eq!(of(&[&[machine], &first[..]].concat()), Some((1500, Bound::Group)));
        let limit = [
            (
                "/proc/self/limits",
                "Max cpu time unlimited\nMax address space         10000      unlimited    bytes\n",
            ),
            ("/proc/self/status", "VmSize:\t       4 kB\n"),
        ];
        assert_eq!(
            of(&[&[machine], &limit[..]].concat()),
            Some((10_000 - 4096, Bound::Addresses))
        );
        let unlimited = (
            "/proc/self/limits",
            "Max address space         unlimited      unlimited    bytes\n",
        );
        assert_eq!(of(&[machine, unlimited]), Some((5120 << 10, Bound::Machine)));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("/proc/meminfo", "MemAvailable: many kB\n")]), None);
    }
}
