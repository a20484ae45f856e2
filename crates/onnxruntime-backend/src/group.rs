//! Which requests can run as one.

/// Puts the indices of equal keys together, groups and members in the order in which they came.
pub(crate) fn group_equal<K: PartialEq>(keys: &[K]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        match groups.iter_mut().find(|group| keys[group[0]] == *key) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order() {
        assert_eq!(
            group_equal(&["b", "a", "b", "c", "a"]),
            [vec![0, 2], vec![1, 4], vec![3]]
        );
        assert!(group_equal::<u8>(&[]).is_empty());
    }
}
