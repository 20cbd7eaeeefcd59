// Stands in for cbor-extract and msgpackr-extract: their optional platform packages are missing on
// some registries, which makes a lockfile incomplete and `npm ci` refuse it. cbor-x and msgpackr
// catch this and use their JavaScript.
throw new Error("no native codec here: the JavaScript one is used");
