//! Objects whole and in parts.

use crate::{BUCKET, noise, object, open, store};
use bytes::Bytes;
use perch_base::secret::sha256;
use perch_domain::ports::ObjectStore;
use perch_domain::sync::fault::StoreFaultKind;
use perch_domain::sync::object::{NewObject, NewPart, PART_BYTES, Sha256};

#[tokio::test]
async fn an_object_is_there_as_it_was_put() {
    let (dir, server) = store().await;
    let store = open(server.endpoint(), "all");
    let body = noise(100_000);
    let new = object("home/box/front/a b+c.mp4", &body);
    store.put(&new, body.clone()).await.expect("put");
    let facts = store.facts(&new.key).await.expect("there");
    assert_eq!((facts.size_bytes, facts.sha256, facts.noted_sha256), (100_000, Some(new.sha256), Some(new.sha256)));
    assert_eq!(store.read(&new.key, 10, 20).await.expect("read"), body.slice(10..20));
    let on_disk = std::fs::read(dir.path().join(BUCKET).join(&new.key)).expect("a file");
    assert!(on_disk == body, "byte for byte");
    let again = NewObject { sha256: Sha256(sha256(b"x")), ..new.clone() };
    assert_eq!(
        store.put(&again, Bytes::from_static(b"x")).await.expect_err("there is one").kind,
        StoreFaultKind::Exists
    );
    let wrong = NewObject { key: "home/wrong".into(), ..new.clone() };
    let refused = store.put(&wrong, noise(99_999)).await.expect_err("other bytes");
    assert_eq!(refused.kind, StoreFaultKind::Damaged, "{refused:?}");
    // This store keeps what it refused, without a sum and without what was to be noted beside it: nobody takes it for a copy.
    let kept = store.facts("home/wrong").await;
    assert!(kept.is_ok_and(|facts| facts.sha256.is_none() && facts.noted_sha256.is_none()));
    store.delete("home/wrong").await.expect("deleted");
    let page = store.list("home/", None).await.expect("listed");
    assert_eq!(
        page.objects.iter().map(|o| (o.key.as_str(), o.size_bytes)).collect::<Vec<_>>(),
        [(new.key.as_str(), 100_000)]
    );
    for _ in 0..2 {
        store.delete(&new.key).await.expect("gone");
    }
    assert_eq!(store.facts(&new.key).await.expect_err("gone").kind, StoreFaultKind::Missing);
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let (dir, server) = store().await;
    let folder = dir.path().join(BUCKET).join("home");
    std::fs::create_dir(&folder).expect("made");
    for n in 0..1_005 {
        std::fs::write(folder.join(format!("{n:05}")), b"x").expect("written");
    }
    let store = open(server.endpoint(), "all");
    let first = store.list("home/", None).await.expect("listed");
    let next = first.next.clone().expect("there are more");
    let second = store.list("home/", Some(&next)).await.expect("listed");
    let keys: Vec<_> = first.objects.iter().chain(&second.objects).map(|o| o.key.clone()).collect();
    assert_eq!((keys.len(), second.next), (1_005, None));
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_goes_on_where_it_broke_off() {
    let (dir, server) = store().await;
    let body = noise(2 * PART_BYTES as usize + 12_345);
    let new = object("home/large.mp4", &body);
    let part = |n: u32| {
        let from = (n as usize - 1) * PART_BYTES as usize;
        let body = body.slice(from..body.len().min(from + PART_BYTES as usize));
        NewPart { number: n, sha256: Sha256(sha256(&body)), body }
    };
    let before = open(server.endpoint(), "all");
    let upload = before.begin_parts(&new).await.expect("begun");
    before.put_part(&new.key, &upload, part(1)).await.expect("sent");
    drop(before);
    // Another process, which has nothing but the upload's name.
    let store = open(server.endpoint(), "all");
    let mut parts = store.parts(&new.key, &upload).await.expect("listed");
    assert_eq!(parts.iter().map(|p| (p.number, p.size_bytes)).collect::<Vec<_>>(), [(1, PART_BYTES)]);
    for n in [2, 3] {
        parts.push(store.put_part(&new.key, &upload, part(n)).await.expect("sent"));
    }
    store.finish_parts(&new, &upload, &parts).await.expect("put together");
    let facts = store.facts(&new.key).await.expect("there");
    assert_eq!((facts.size_bytes, facts.noted_sha256), (body.len() as u64, Some(new.sha256)));
    let on_disk = std::fs::read(dir.path().join(BUCKET).join(&new.key)).expect("a file");
    assert!(on_disk == body, "byte for byte");
    let given_up = store.begin_parts(&object("home/other", &body)).await.expect("begun");
    store.put_part("home/other", &given_up, part(1)).await.expect("sent");
    store.abort_parts("home/other", &given_up).await.expect("given up");
    assert!(store.parts("home/other", &given_up).await.is_ok_and(|parts| parts.is_empty()), "nothing is left");
}
