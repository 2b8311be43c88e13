//! How each message is sent: what it is answered with, and the method that takes it.

use tonic::Status;

use super::Along;

/// A message that is sent to one kind of server.
pub(crate) trait Rpc: Clone + Send + 'static {
    /// The way there.
    type Way: Send + Sync;
    /// What comes back.
    type Answer: Send;
    /// Whether the answer is a stream.
    const LASTING: bool = false;

    /// Sends it.
    fn send(
        way: &Self::Way,
        along: &Along,
        message: Self,
    ) -> impl Future<Output = Result<Self::Answer, Status>> + Send;
}

/// Says by which method a message is sent, of the generated client or of the service itself, which
/// `$methods` stands for whatever its type is.
macro_rules! rpc {
    (
        $way:ty, $methods:ident of $service:ident at $path:literal:
        $($name:literal $method:ident($request:ty) -> $answer:ty;)+
        $(
            $first_method:ident($first:ident) then
            stream $stream_name:literal $stream_method:ident($stream_request:ty) -> $frame:ty;
        )*
    ) => {
        pub(crate) trait $methods: Send + Sync {
            $(fn $method(&self, request: Request<$request>) -> Calling<'_, $answer>;)+
            $(fn $stream_method(
                &self,
                request: Request<$stream_request>,
            ) -> Calling<'_, Frames<$frame>>;)*
        }

        impl<S: $service> $methods for S {
            $(fn $method(&self, request: Request<$request>) -> Calling<'_, $answer> {
                $service::$method(self, request)
            })+
            $(fn $stream_method(
                &self,
                request: Request<$stream_request>,
            ) -> Calling<'_, Frames<$frame>> {
                let opening = $service::$stream_method(self, request);
                Box::pin(async { Ok(opening.await?.map(|frames| frames.boxed())) })
            })*
        }

        $(impl Rpc for $request {
            type Way = $way;
            type Answer = $answer;

            fn send(
                way: &$way,
                along: &Along,
                message: Self,
            ) -> impl Future<Output = Result<$answer, Status>> + Send {
                match way {
                    Way::Remote { calls, .. } => {
                        let (mut client, seat) = calls.one_more();
                        let request = along.timed_request(message);
                        Either::Left(remote(async move {
                            let answered = client.$method(request).await;
                            drop(seat);
                            answered
                        }))
                    }
                    Way::Local(local) => {
                        let path = concat!($path, $name);
                        let method = |to, it| $methods::$method(to, it);
                        Either::Right(local.call(path, along, message, method))
                    }
                }
            }
        })+
        $(impl Rpc for $stream_request {
            type Way = $way;
            type Answer = Frames<$frame>;
            const LASTING: bool = true;

            async fn send(
                way: &$way,
                along: &Along,
                message: Self,
            ) -> Result<Self::Answer, Status> {
                match way {
                    Way::Remote { calls, streams } => {
                        // A deadline of a stream ends all of it, so a call that has one waits until
                        // the server is as fresh as wished, or says how far it is.
                        if let Some(wish) = &message.consistency {
                            let consistency = Some(wish.clone());
                            let first = $first { consistency, ..$first::default() };
                            let first = along.timed_request(first);
                            let (mut client, _seat) = calls.one_more();
                            client.$first_method(first).await?;
                        }
                        let (mut client, seat) = streams.one_more();
                        let opened = client.$stream_method(along.request(message)).await?;
                        Ok(opened.into_inner().map(move |frame| (frame, &seat).0).boxed())
                    }
                    Way::Local(local) => {
                        let path = concat!($path, $stream_name);
                        local
                            .open(path, along, message, |to, it| $methods::$stream_method(to, it))
                            .await
                    }
                }
            }
        })*
    };
}
pub(super) use rpc;
