"""The Open Inference Protocol, version 2: requests to rows and answers to bytes, whichever way they come.

    intake          the one validator: what may enter the model, by the bundle's manifest
    call            what a request asks for, once decoded; what a model answers
    codec_json      JSON and its binary tensor extension
    codec_grpc      the gRPC messages (messages: their descriptors)
    peek            the model's name out of a gRPC request, without parsing it

Decoding, validating and encoding happen in the worker that owns the model, so that a hostile body costs a worker's
deadline and never the event loop.
"""
