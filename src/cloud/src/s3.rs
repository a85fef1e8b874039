//! S3 (Amazon Simple Storage Service, API of 2006-03-01): one request a call.

use crate::answers::fault;
use crate::body::{Pace, Progress, body as body_of};
use crate::client::{StoreTime, client};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart,
};
use bytes::Bytes;
use perch_base::Result;
use perch_domain::ports::{Later, ObjectStore};
use perch_domain::sync::fault::{StoreFault, StoreFaultKind};
use perch_domain::sync::object::{
    ListedObject, ListedPage, NewObject, NewPart, ObjectFacts, Sha256, StoreResult, StoredPart, UnfinishedUpload,
};
use perch_domain::sync::profile::Protection;
use perch_domain::sync::target::SyncTarget;
use std::time::Duration;

// Real time: sockets know no other.
/// The metadata of an object that says its SHA-256, hex.
const SHA256: &str = "sha256";
/// An answer may take this long, and as long as a line of [`SLOWEST`] takes for what lies in the system's buffers.
const ANSWER: Duration = Duration::from_secs(60);
/// A body of which nothing more is taken for so long goes nowhere.
const STUCK: Duration = Duration::from_secs(30);
/// What the system's buffers for sending hold at most (`net.ipv4.tcp_wmem`).
const BUFFERED: u64 = 4 << 20;
/// Bytes a second.
const SLOWEST: u64 = 16 * 1024;
/// Bytes of an object that one call reads.
const MAX_READ: u64 = 64 << 20;
/// Parts that a list of them may have (Amazon S3 User Guide, "Multipart upload limits").
const MAX_PARTS: usize = 10_000;
/// Entries of one page of a list.
const PAGE: i32 = 1_000;

/// A bucket of an S3 store.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    time: StoreTime,
    pace: Pace,
    bucket: String,
    /// Whether SHA-256 goes along in the form of S3 (`x-amz-checksum-sha256`).
    has_checksums: bool,
}

impl S3Store {
    /// The bucket of a target; nothing is asked yet. Errors with `Invalid` where its certificates cannot be read. Within a runtime.
    pub fn open(target: &SyncTarget) -> Result<Self> {
        let time = StoreTime::default();
        let client = client(target, time.clone())?;
        let pace = Pace::default();
        pace.set(target.max_bytes_per_s);
        Ok(Self { client, time, pace, bucket: target.bucket.clone(), has_checksums: true })
    }

    /// The same, with the checksums of S3 or without them, for a store that refuses them: objects are then told apart by what is noted beside
    /// them, and by their length.
    pub fn with_checksums(self, has_checksums: bool) -> Self {
        Self { has_checksums, ..self }
    }

    /// Bytes of objects that were ever sent by this and its clones.
    pub fn sent_bytes(&self) -> u64 {
        self.pace.sent_bytes()
    }

    /// Seconds by which the store's clock is ahead, where requests carry its time because it refused the box's.
    pub fn clock_ahead_s(&self) -> Option<i64> {
        self.time.ahead_s()
    }

    /// How the bucket protects what is in it, as far as the key may know.
    pub async fn protection(&self) -> StoreResult<Protection> {
        const DOING: &str = "asking how the bucket protects objects";
        let versions = self.client.get_bucket_versioning().bucket(&self.bucket);
        let versions = self.answer(DOING, versions.send()).await?;
        let keeps_versions = versions.status() == Some(&BucketVersioningStatus::Enabled);
        let locks = self.client.get_object_lock_configuration().bucket(&self.bucket);
        // A bucket without a lock answers with an error.
        let locks = self.answer(DOING, locks.send()).await.ok();
        let rule = locks.as_ref().and_then(|l| l.object_lock_configuration()?.rule()?.default_retention());
        let days = rule.map_or(0, |r| r.days().unwrap_or(0).max(r.years().unwrap_or(0).saturating_mul(365)));
        Ok(Protection { keeps_versions, locked_days: u32::try_from(days).unwrap_or(0) })
    }

    /// All that is sent from now on takes so many bytes a second at most; 0: no limit.
    pub fn set_pace(&self, bytes_per_s: u64) {
        self.pace.set(bytes_per_s);
    }

    /// Waits for an answer to a request without a body to speak of.
    async fn answer<T, E>(
        &self,
        doing: &str,
        request: impl Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
    ) -> StoreResult<T>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        self.answer_to(doing, (0, Progress::default()), request).await
    }

    /// Waits for an answer, as long as the body of so many bytes gets on.
    async fn answer_to<T, E>(
        &self,
        doing: &str,
        (bytes, progress): (u64, Progress),
        request: impl Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
    ) -> StoreResult<T>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let dead = || Err(StoreFault::new(StoreFaultKind::Unreachable, doing));
        let mut request = std::pin::pin!(request);
        let mut taken = 0;
        let answer = loop {
            // What is taken may wait in buffers for long on a slow line.
            let limit = if taken < bytes { STUCK } else { ANSWER + Duration::from_secs(bytes.min(BUFFERED) / SLOWEST) };
            match tokio::time::timeout(limit, &mut request).await {
                Ok(answer) => break answer,
                Err(_) if progress.bytes() == taken => return dead(),
                Err(_) => taken = progress.bytes(),
            }
        };
        answer.map_err(|e| {
            let (mut fault, clock) = fault(&e, doing);
            if clock.is_some_and(|clock| self.time.set_by(clock)) {
                // From now on requests carry the store's time.
                fault.retry_after = Some(Duration::ZERO);
            }
            fault
        })
    }

    async fn put_whole(&self, object: NewObject, body: Bytes) -> StoreResult<()> {
        let size_bytes = body.len() as u64;
        let (body, progress) = body_of(body, &self.pace);
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .content_type(object.content_type)
            .metadata(SHA256, object.sha256.hex())
            .set_if_none_match(object.only_if_new.then(|| "*".to_owned()))
            .set_checksum_sha256(self.has_checksums.then(|| object.sha256.base64()))
            .content_length(size_bytes as i64)
            .body(body);
        self.answer_to("sending an object", (size_bytes, progress), request.send()).await.map(drop)
    }

    async fn facts_of(&self, key: String) -> StoreResult<ObjectFacts> {
        let mode = self.has_checksums.then_some(ChecksumMode::Enabled);
        let request = self.client.head_object().bucket(&self.bucket).key(key).set_checksum_mode(mode);
        let answer = self.answer("looking at an object", request.send()).await?;
        let sum = answer.checksum_sha256();
        let noted = answer.metadata().and_then(|noted| noted.get(SHA256)).and_then(|text| of_hex(text));
        Ok(ObjectFacts {
            size_bytes: size(answer.content_length()),
            sha256: sum.and_then(Sha256::of_base64),
            sha256_of_parts: sum.filter(|text| text.contains('-')).map(str::to_owned),
            noted_sha256: noted,
        })
    }

    async fn read_range(&self, key: String, from: u64, to: u64) -> StoreResult<Bytes> {
        const DOING: &str = "reading an object";
        let length = to.saturating_sub(from).min(MAX_READ);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let range = format!("bytes={from}-{}", from + length - 1);
        let request = self.client.get_object().bucket(&self.bucket).key(key).range(range);
        let answer = self.answer(DOING, request.send()).await?;
        // A store that takes no notice of the range must not fill the memory.
        if size(answer.content_length()) > length {
            return Err(StoreFault::new(StoreFaultKind::Damaged, DOING));
        }
        let limit = ANSWER + Duration::from_secs(length / SLOWEST);
        let broken = || StoreFault::new(StoreFaultKind::Unreachable, DOING);
        let body = tokio::time::timeout(limit, answer.body.collect()).await.map_err(|_| broken())?;
        Ok(body.map_err(|_| broken())?.into_bytes())
    }

    async fn list_page(&self, prefix: String, page: Option<String>) -> StoreResult<ListedPage> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(PAGE);
        let answer = self.answer("listing objects", request.set_continuation_token(page).send()).await?;
        let listed =
            |o: &aws_sdk_s3::types::Object| Some(ListedObject { key: o.key()?.to_owned(), size_bytes: size(o.size()) });
        let objects = answer.contents().iter().take(PAGE as usize).filter_map(listed).collect();
        let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true));
        Ok(ListedPage { objects, next: next.map(str::to_owned) })
    }

    async fn delete_one(&self, key: String) -> StoreResult<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key);
        gone_is_fine(self.answer("deleting an object", request.send()).await.map(drop))
    }

    async fn begin(&self, object: NewObject) -> StoreResult<String> {
        const DOING: &str = "beginning an upload in parts";
        let algorithm = self.has_checksums.then_some(ChecksumAlgorithm::Sha256);
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&object.key)
            .content_type(object.content_type)
            .metadata(SHA256, object.sha256.hex())
            .set_checksum_algorithm(algorithm);
        let answer = self.answer(DOING, request.send()).await?;
        let named = answer.upload_id().map(str::to_owned);
        named.ok_or_else(|| StoreFault::new(StoreFaultKind::Unsupported, DOING))
    }

    async fn send_part(&self, key: String, upload: String, part: NewPart) -> StoreResult<StoredPart> {
        let size_bytes = part.body.len() as u64;
        let (body, progress) = body_of(part.body, &self.pace);
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .part_number(part.number as i32)
            .set_checksum_sha256(self.has_checksums.then(|| part.sha256.base64()))
            .content_length(size_bytes as i64)
            .body(body);
        let answer = self.answer_to("sending a part", (size_bytes, progress), request.send()).await?;
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let sha256 = self.has_checksums.then_some(part.sha256);
        Ok(StoredPart { number: part.number, size_bytes, etag, sha256 })
    }

    async fn all_parts(&self, key: String, upload: String) -> StoreResult<Vec<StoredPart>> {
        let mut parts = Vec::new();
        let mut after = None;
        while parts.len() < MAX_PARTS {
            let request = self.client.list_parts().bucket(&self.bucket).key(&key).upload_id(&upload);
            let answer = self.answer("asking for parts", request.set_part_number_marker(after).send()).await?;
            let before = parts.len();
            parts.extend(answer.parts().iter().take(PAGE as usize).filter_map(|part| {
                let number = u32::try_from(part.part_number()?).ok()?;
                let sha256 = part.checksum_sha256().and_then(Sha256::of_base64);
                let etag = part.e_tag().unwrap_or_default().to_owned();
                Some(StoredPart { number, size_bytes: size(part.size()), etag, sha256 })
            }));
            after = answer.next_part_number_marker().map(str::to_owned);
            if answer.is_truncated() != Some(true) || after.is_none() || parts.len() == before {
                break;
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    async fn finish(&self, object: NewObject, upload: String, parts: Vec<StoredPart>) -> StoreResult<()> {
        let completed = parts.iter().map(|part| {
            let sum = part.sha256.filter(|_| self.has_checksums).map(|sum| sum.base64());
            CompletedPart::builder()
                .part_number(part.number as i32)
                .set_e_tag((!part.etag.is_empty()).then(|| part.etag.clone()))
                .set_checksum_sha256(sum)
                .build()
        });
        let completed = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&object.key)
            .upload_id(upload)
            .set_if_none_match(object.only_if_new.then(|| "*".to_owned()))
            .multipart_upload(completed);
        self.answer("putting parts together", request.send()).await.map(drop)
    }

    async fn abort(&self, key: String, upload: String) -> StoreResult<()> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
        gone_is_fine(self.answer("giving an upload up", request.send()).await.map(drop))
    }

    async fn not_ended(&self, prefix: String) -> StoreResult<Vec<UnfinishedUpload>> {
        let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(prefix).max_uploads(PAGE);
        let answer = self.answer("looking for uploads that were not ended", request.send()).await?;
        let named = |u: &aws_sdk_s3::types::MultipartUpload| {
            Some(UnfinishedUpload { key: u.key()?.to_owned(), upload: u.upload_id()?.to_owned() })
        };
        Ok(answer.uploads().iter().take(PAGE as usize).filter_map(named).collect())
    }
}

impl ObjectStore for S3Store {
    fn put(&self, object: &NewObject, body: Bytes) -> Later<'_, StoreResult<()>> {
        Box::pin(self.put_whole(object.clone(), body))
    }

    fn facts(&self, key: &str) -> Later<'_, StoreResult<ObjectFacts>> {
        Box::pin(self.facts_of(key.to_owned()))
    }

    fn read(&self, key: &str, from: u64, to: u64) -> Later<'_, StoreResult<Bytes>> {
        Box::pin(self.read_range(key.to_owned(), from, to))
    }

    fn list(&self, prefix: &str, page: Option<&str>) -> Later<'_, StoreResult<ListedPage>> {
        Box::pin(self.list_page(prefix.to_owned(), page.map(str::to_owned)))
    }

    fn delete(&self, key: &str) -> Later<'_, StoreResult<()>> {
        Box::pin(self.delete_one(key.to_owned()))
    }

    fn begin_parts(&self, object: &NewObject) -> Later<'_, StoreResult<String>> {
        Box::pin(self.begin(object.clone()))
    }

    fn put_part(&self, key: &str, upload: &str, part: NewPart) -> Later<'_, StoreResult<StoredPart>> {
        Box::pin(self.send_part(key.to_owned(), upload.to_owned(), part))
    }

    fn parts(&self, key: &str, upload: &str) -> Later<'_, StoreResult<Vec<StoredPart>>> {
        Box::pin(self.all_parts(key.to_owned(), upload.to_owned()))
    }

    fn finish_parts(&self, object: &NewObject, upload: &str, parts: &[StoredPart]) -> Later<'_, StoreResult<()>> {
        Box::pin(self.finish(object.clone(), upload.to_owned(), parts.to_vec()))
    }

    fn abort_parts(&self, key: &str, upload: &str) -> Later<'_, StoreResult<()>> {
        Box::pin(self.abort(key.to_owned(), upload.to_owned()))
    }

    fn unfinished(&self, prefix: &str) -> Later<'_, StoreResult<Vec<UnfinishedUpload>>> {
        Box::pin(self.not_ended(prefix.to_owned()))
    }
}

fn gone_is_fine(result: StoreResult<()>) -> StoreResult<()> {
    match result {
        Err(fault) if fault.kind == StoreFaultKind::Missing => Ok(()),
        other => other,
    }
}

fn size(length: Option<i64>) -> u64 {
    length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

fn of_hex(text: &str) -> Option<Sha256> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut sum = [0; 32];
    for (byte, pair) in sum.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Sha256(sum))
}
