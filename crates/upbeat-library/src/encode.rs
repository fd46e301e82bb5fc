//! How paths and lists of numbers are stored.

use std::path::{Path, PathBuf};

/// The bytes of a path: on Unix as they are, so that names that are no UTF-8 survive; elsewhere UTF-16, little-endian.
#[cfg(unix)]
pub(crate) fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(unix)]
pub(crate) fn bytes_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(windows)]
pub(crate) fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::windows::ffi::OsStrExt;
    path.as_os_str().encode_wide().flat_map(u16::to_le_bytes).collect()
}

#[cfg(windows)]
pub(crate) fn bytes_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::windows::ffi::OsStringExt;
    let units: Vec<u16> =
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    std::ffi::OsString::from_wide(&units).into()
}

/// Numbers as bytes, little-endian.
pub(crate) fn number_bytes(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
    numbers.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// The numbers in `bytes`; what is left over is not looked at.
pub(crate) fn bytes_numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// Exactly `N` finite numbers, else nothing.
pub(crate) fn bytes_array<const N: usize>(bytes: &[u8]) -> Option<[f32; N]> {
    if bytes.len() != 4 * N {
        return None;
    }
    let mut array = [0.0; N];
    for (slot, number) in array.iter_mut().zip(bytes_numbers(bytes)) {
        *slot = number;
    }
    array.iter().all(|x| x.is_finite()).then_some(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn paths_that_are_no_utf8_survive() {
        for bytes in [&b"/music/\xff\xfe.mp3"[..], b"/m\xc3\xbcsik/a b.wav", b"relative"] {
            assert_eq!(path_bytes(&bytes_path(bytes.to_vec())), bytes);
        }
    }

    #[test]
    fn arrays_are_whole_and_finite_or_nothing() {
        let bytes = number_bytes([1.0, -2.5]);
        assert_eq!(bytes_array(&bytes), Some([1.0, -2.5]));
        assert_eq!(bytes_array::<3>(&bytes), None);
        assert_eq!(bytes_array::<2>(&bytes[..7]), None);
        assert_eq!(bytes_array::<2>(&number_bytes([1.0, f32::NAN])), None);
    }
}
