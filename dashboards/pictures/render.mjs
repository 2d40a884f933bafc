// Takes pictures of the dashboards, drawn by Grafana's own components from what a Prometheus holds:
//
//   node render.mjs PROMETHEUS_URL MINUTES FOLDER
//
// CHROMIUM names the browser, if it is not /usr/bin/chromium. Nothing is downloaded while it runs.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const [prometheus, minutes, folder] = process.argv.slice(2);
const boards = ['fleet', 'end-of-day', 'controller'];
const width = 1200;

const to = Math.floor(Date.now() / 1000);
const from = to - Math.round(Number(minutes) * 60);
// Wide enough for two scrapes.
const step = Math.max(3, Math.round((to - from) / 100));
const variables = {
  $namespace: '.*', $job: '.*', $instance: '.*', $__rate_interval: '15s', $__interval: `${step}s`, $__range: `${to - from}s`,
};

function filled(expression) {
  const longestFirst = Object.entries(variables).sort(([a], [b]) => b.length - a.length);
  return longestFirst.reduce((text, [name, value]) => text.replaceAll(name, value), expression);
}

function named(legend, labels) {
  if (legend === '__auto') {
    const { __name__: _, ...rest } = labels;
    return Object.entries(rest).map(([name, value]) => `${name}="${value}"`).join(', ') || 'value';
  }
  return legend.replace(/{{(\w+)}}/g, (_, name) => labels[name] ?? '');
}

async function series(target) {
  const query = new URLSearchParams({ query: filled(target.expr), start: from, end: to, step });
  const answer = await (await fetch(`${prometheus}/api/v1/query_range?${query}`)).json();
  if (answer.status !== 'success') throw new Error(`${target.expr}: ${answer.error}`);
  return answer.data.result.map(({ metric, values }) => {
    const found = new Map(values.map(([at, value]) => [at, Number(value)]));
    const times = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, place) => from + place * step);
    const valueAt = (at) => (Number.isFinite(found.get(at)) ? found.get(at) : null);
    return { name: named(target.legendFormat, metric), times: times.map((at) => at * 1000), values: times.map(valueAt) };
  });
}

// An editor of four megabytes, of which no panel draws anything.
const without = {
  name: 'without-editors',
  setup(of) {
    of.onResolve({ filter: /^(monaco-editor|react-monaco-editor|@monaco-editor)/ }, ({ path }) => ({ path, namespace: 'none' }));
    of.onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: 'module.exports = {};' }));
  },
};
const bundle = await build({
  entryPoints: [join(here, 'panels.jsx')], bundle: true, write: false, format: 'iife', minify: true, logLevel: 'error',
  outdir: 'nowhere', plugins: [without], jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.woff': 'dataurl', '.ttf': 'dataurl', '.png': 'dataurl' },
});
const [script, styles] = ['.js', '.css'].map((end) => bundle.outputFiles.find(({ path }) => path.endsWith(end)).text);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
for (const name of boards) {
  const board = JSON.parse(readFileSync(join(here, '..', `${name}.json`), 'utf8'));
  const panels = [];
  for (const panel of board.panels) {
    const data = [];
    for (const target of panel.targets ?? []) data.push(...(await series(target)));
    panels.push({ panel, data });
  }
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  page.on('pageerror', (error) => console.error(`${name}: ${error.message}`));
  // A page with an address, since components want to store things; nothing listens there.
  const own = 'body { margin: 0; background: #111217 } button { all: unset; color: inherit } ul { list-style: none }';
  const body = `<!doctype html><style>${own}</style><body><div id="root"></div></body>`;
  await page.route('http://dashboard.test/', (route) => route.fulfill({ contentType: 'text/html', body }));
  await page.goto('http://dashboard.test/');
  await page.evaluate((given) => { window.given = given; }, { panels, title: board.title, from, to, width });
  await page.addStyleTag({ content: styles });
  await page.addScriptTag({ content: script });
  await page.waitForSelector('#drawn', { state: 'attached' });
  await page.waitForTimeout(1500);
  await page.locator('#board').screenshot({ path: join(folder, `${name}.png`) });
  await page.close();
  console.log(`${name}.png: ${panels.filter(({ data }) => data.length > 0).length} panels with data`);
}
await browser.close();
