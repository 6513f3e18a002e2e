//! Which partition an application's events go to.

/// The partition of an application: murmur2 over the bytes of its name, made positive, modulo the number of partitions.
///
/// It is what Java's default partitioner computes for a key of the same bytes, so another client can find the partition
/// without this crate.
pub fn partition_for(application: &str, partitions: u32) -> u32 {
    (murmur2(application.as_bytes()) & 0x7fff_ffff) % partitions.max(1)
}

/// 32-bit murmur2 with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // Kafka's records cannot be longer than 2 GiB, and Java's `int` length wraps in the same way.
    let mut h = SEED ^ (data.len() as u32);
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk.iter().rev().fold(0, |word: u32, byte| word << 8 | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * index);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition_for};

    #[test]
    fn murmur2_gives_the_values_of_javas_own_test() {
        // From `UtilsTest.testMurmur2` of Apache Kafka.
        let known = [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn the_partition_is_within_the_topic_and_stable() {
        for partitions in [1, 2, 3, 7, 100] {
            for application in ["", "search", "maps", "Straße"] {
                let partition = partition_for(application, partitions);
                assert!(partition < partitions);
                assert_eq!(partition, partition_for(application, partitions));
            }
        }
        assert_eq!(partition_for("abc", 10), 7);
    }
}
