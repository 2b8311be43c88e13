//! How servers take messages in and out of the bodies of calls.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a call takes at first to decode its request, and again to encode its answer: most messages fit,
/// and for larger ones the buffer grows. tonic's own 8 KiB are so much that nearly each call makes the
/// allocator look for a fresh page, and each answer that waits to be sent lies on two pages of its own.
const BUFFER_BYTES: usize = 1 << 10;
/// How many bytes of a stream's messages may be sent as one, if they are ready together: as by default.
const YIELD_BYTES: usize = 32 << 10;

/// Protocol Buffers in buffers of the size that calls have. The generated servers use it.
#[derive(Debug)]
pub struct ServerCodec<T, U>(PhantomData<fn(T) -> U>);

impl<T, U> Default for ServerCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for ServerCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}
