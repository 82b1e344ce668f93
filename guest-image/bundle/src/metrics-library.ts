import { dirname } from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * Bundles what the agent uses of prom-client. Its index also loads metrics of Node.js, for which it loads OpenTelemetry, and kinds of
 * metrics that the agent does not have.
 */
export function metricsLibrary(): Plugin {
  return {
    name: 'metrics-library',
    setup(build) {
      build.onLoad({ filter: /[\\/]node_modules[\\/]prom-client[\\/]index\.js$/ }, ({ path }) => ({
        contents: [
          "exports.Counter = require('./lib/counter');",
          "exports.Gauge = require('./lib/gauge');",
          "exports.Registry = require('./lib/registry');",
        ].join('\n'),
        resolveDir: dirname(path),
      }));
    },
  };
}
