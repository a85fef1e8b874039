//! A connection of which the first byte was read, to know what is spoken on it; whoever reads on gets that byte again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What is written to a connection goes to its `io` as it is. Wants the names of what is used above.
macro_rules! writes_through {
    ($of:ident<T $(, $more:ident: $bound:path)?>) => {
        impl<T: AsyncWrite + Unpin $(, $more: $bound)?> AsyncWrite for $of<T $(, $more)?> {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.io).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.io.is_write_vectored()
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.io).poll_flush(cx)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.io).poll_shutdown(cx)
            }
        }
    };
}
pub(crate) use writes_through;

/// The connection.
pub(crate) struct Begun<T> {
    first: Option<u8>,
    io: T,
}

impl<T: AsyncRead + Unpin> Begun<T> {
    /// Waits for the first byte. A connection that ends without one has none.
    pub(crate) async fn read(mut io: T) -> io::Result<Self> {
        let mut byte = [0];
        let first = (io.read(&mut byte).await? > 0).then_some(byte[0]);
        Ok(Self { first, io })
    }

    /// The first byte, until it was read again.
    pub(crate) fn first(&self) -> Option<u8> {
        self.first
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

writes_through!(Begun<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_byte_is_read_again() {
        let mut begun = Begun::read(&b"GET /"[..]).await.expect("read");
        assert_eq!(begun.first(), Some(b'G'));
        let mut text = String::new();
        begun.read_to_string(&mut text).await.expect("read on");
        assert_eq!((text.as_str(), begun.first()), ("GET /", None));
        assert_eq!(Begun::read(&b""[..]).await.expect("it ended").first(), None);
    }
}
