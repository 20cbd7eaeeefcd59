// Stands in for cbor-extract, msgpackr-extract and @node-rs/crc32: their optional platform packages
// are missing on some registries, which makes a lockfile incomplete and `npm ci` refuse it; and for
// protobufjs, which nothing here uses. Those who ask for them catch this and use their JavaScript.
throw new Error("no native codec here: the JavaScript one is used");
