//! What `s3s-fs` lacks, laid around it: it keeps what it notes of an object in a file whose name holds the whole key, so keys may be no longer than some
//! hundred bytes, where stores take 1,024; and it knows no list of uploads that were not ended. Both are held in memory: it lasts as long as the server.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Longer keys get a short one on the disk.
const LONGEST_KEY: usize = 96;

#[derive(Default)]
struct Known {
    /// The keys of objects by those under which they lie.
    keys: BTreeMap<String, String>,
    /// Keys of what is being sent in parts, by upload.
    uploads: BTreeMap<String, String>,
}

/// The file system with both. Clones are the same.
#[derive(Clone)]
pub(crate) struct NamedStore {
    files: Arc<FileSystem>,
    known: Arc<Mutex<Known>>,
}

impl NamedStore {
    pub(crate) fn new(files: FileSystem) -> Self {
        Self { files: Arc::new(files), known: Arc::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an object lies: its first folder, so that it is listed with its kind, and a number in place of the rest.
    fn place(&self, key: &str) -> String {
        if key.len() <= LONGEST_KEY {
            return key.to_owned();
        }
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        let folder = key.split_once('/').map_or("", |(folder, _)| folder);
        let place = format!("{folder}/~{:016x}", hash.finish());
        self.known().keys.insert(place.clone(), key.to_owned());
        place
    }

    /// The key of what lies there.
    pub(crate) fn key(&self, place: String) -> String {
        self.known().keys.get(&place).cloned().unwrap_or(place)
    }
}

/// What is handed on with the place in place of the key, what is handed on as it is, and what is not.
macro_rules! store {
    (placed { $($placed:ident: $placed_in:ty => $placed_out:ty;)* }
     as_it_is { $($plain:ident: $plain_in:ty => $plain_out:ty;)* }
     itself { $($own:tt)* }) => {
        #[async_trait::async_trait]
        impl S3 for NamedStore {
            $(async fn $placed(&self, mut request: S3Request<$placed_in>) -> S3Result<S3Response<$placed_out>> {
                request.input.key = self.place(&request.input.key);
                self.files.$placed(request).await
            })*
            $(async fn $plain(&self, request: S3Request<$plain_in>) -> S3Result<S3Response<$plain_out>> {
                self.files.$plain(request).await
            })*
            $($own)*
        }
    };
}

store! {
    placed {
        put_object: PutObjectInput => PutObjectOutput;
        get_object: GetObjectInput => GetObjectOutput;
        head_object: HeadObjectInput => HeadObjectOutput;
        delete_object: DeleteObjectInput => DeleteObjectOutput;
        upload_part: UploadPartInput => UploadPartOutput;
        list_parts: ListPartsInput => ListPartsOutput;
    }
    as_it_is {
        head_bucket: HeadBucketInput => HeadBucketOutput;
        get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
        list_buckets: ListBucketsInput => ListBucketsOutput;
        create_bucket: CreateBucketInput => CreateBucketOutput;
        list_objects: ListObjectsInput => ListObjectsOutput;
        delete_objects: DeleteObjectsInput => DeleteObjectsOutput;
        copy_object: CopyObjectInput => CopyObjectOutput;
        upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput;
    }
    itself {
        async fn list_objects_v2(
            &self,
            request: S3Request<ListObjectsV2Input>,
        ) -> S3Result<S3Response<ListObjectsV2Output>> {
            let mut answer = self.files.list_objects_v2(request).await?;
            for object in answer.output.contents.iter_mut().flatten() {
                object.key = object.key.take().map(|place| self.key(place));
            }
            Ok(answer)
        }

        async fn create_multipart_upload(
            &self,
            mut request: S3Request<CreateMultipartUploadInput>,
        ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
            let key = request.input.key.clone();
            request.input.key = self.place(&key);
            let mut answer = self.files.create_multipart_upload(request).await?;
            if let Some(upload) = answer.output.upload_id.clone() {
                self.known().uploads.insert(upload, key.clone());
            }
            answer.output.key = Some(key);
            Ok(answer)
        }

        async fn complete_multipart_upload(
            &self,
            mut request: S3Request<CompleteMultipartUploadInput>,
        ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
            let upload = request.input.upload_id.clone();
            request.input.key = self.place(&request.input.key);
            let answer = self.files.complete_multipart_upload(request).await?;
            self.known().uploads.remove(&upload);
            Ok(answer)
        }

        async fn abort_multipart_upload(
            &self,
            mut request: S3Request<AbortMultipartUploadInput>,
        ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
            let upload = request.input.upload_id.clone();
            request.input.key = self.place(&request.input.key);
            let answer = self.files.abort_multipart_upload(request).await?;
            self.known().uploads.remove(&upload);
            Ok(answer)
        }

        async fn list_multipart_uploads(
            &self,
            request: S3Request<ListMultipartUploadsInput>,
        ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
            let prefix = request.input.prefix.unwrap_or_default();
            let known = self.known();
            let begun = known.uploads.iter().filter(|(_, key)| key.starts_with(&prefix));
            let uploads: Vec<MultipartUpload> = begun
                .map(|(upload, key)| MultipartUpload {
                    key: Some(key.clone()),
                    upload_id: Some(upload.clone()),
                    ..Default::default()
                })
                .collect();
            let output = ListMultipartUploadsOutput { uploads: Some(uploads), ..Default::default() };
            Ok(S3Response::new(output))
        }
    }
}
