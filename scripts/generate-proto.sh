#!/usr/bin/env bash
# Makes packages/common/src/gen from proto/*.proto with ts-proto, without any network access.
# `npm run setup`, `npm start` and `npm test` run it when a .proto file changed; run it by hand after editing one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ ! -x node_modules/.bin/buf ]; then
  echo "generate-proto.sh: node_modules/.bin/buf is missing; run 'npm ci' first" >&2
  exit 1
fi
gen=packages/common/src/gen
node_modules/.bin/buf generate --template buf.gen.yaml
# The descriptors as a module, for gRPC reflection: a module is compiled and bundled like any other.
{
  echo "/** The file descriptor set of proto/, base64. Generated; never edited. */"
  echo "export const descriptorSetBase64 ="
  echo "  '$(node_modules/.bin/buf build -o -#format=binpb | base64 | tr -d '\n')';"
} >"$gen/descriptor-set.ts"
