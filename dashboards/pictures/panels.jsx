// Draws one dashboard in the browser with Grafana's own components. What is missing from a Grafana is the rest of the
// page: menus, variables, tooltips.
import { createTheme, dateTime, FieldType, getDisplayProcessor, toDataFrame } from '@grafana/data';
import { BarGauge, BigValue, ThemeContext, TimeSeries } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

const theme = createTheme({ colors: { mode: 'dark' } });
const { panels, title, from, to, width } = window.given;
const cell = (width - 8) / 24;
const row = 34;
const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: 'now', to: 'now' } };

// The settings of a field with what overrides them by its name.
function config({ defaults, overrides }, name) {
  const own = structuredClone(defaults);
  for (const { matcher, properties } of overrides ?? []) {
    if (matcher.options === name) for (const { id, value } of properties) own[id] = value;
  }
  return { ...own, color: own.color ?? { mode: 'palette-classic' }, displayNameFromDS: name };
}

function frames(panel, data) {
  return data.map(({ name, times, values }, seriesIndex) => {
    const settings = config(panel.fieldConfig, name);
    if (panel.type !== 'timeseries') settings.color = { mode: 'thresholds' };
    const frame = toDataFrame({
      name,
      fields: [
        { name: 'Time', type: FieldType.time, values: times, config: {} },
        { name: 'Value', type: FieldType.number, values, config: settings },
      ],
    });
    frame.fields.forEach((field) => {
      field.state = { seriesIndex, displayName: field.type === FieldType.number ? name : undefined };
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    });
    return frame;
  });
}

function last(values) {
  return values.findLast((value) => value !== null) ?? null;
}

function Stat({ panel, data, width, height }) {
  const [frame] = frames(panel, data);
  const field = frame.fields[1];
  const value = field.display(last(field.values));
  const name = panel.options.textMode === 'name';
  const shown = name ? { ...value, text: data[0].name, prefix: '', suffix: '', title: undefined } : value;
  const line = { y: field, x: frame.fields[0] };
  return (
    <BigValue theme={theme} width={width} height={height} value={{ ...shown, title: undefined }} colorMode="value"
      graphMode={panel.options.graphMode} sparkline={panel.options.graphMode === 'area' ? line : undefined} justifyMode="auto" />
  );
}

function Bars({ panel, data, width, height }) {
  const each = Math.floor(height / data.length);
  return frames(panel, data).map((frame) => {
    const field = frame.fields[1];
    const value = { ...field.display(last(field.values)), title: frame.name };
    field.config.max = Math.max(1, ...data.map(({ values }) => last(values) ?? 0));
    return (
      <BarGauge key={frame.name} theme={theme} width={width} height={each} value={value} field={field.config}
        display={field.display} displayMode="basic" orientation="horizontal" />
    );
  });
}

function Lines({ panel, data, width, height }) {
  return (
    <TimeSeries frames={frames(panel, data)} timeRange={timeRange} timeZone="utc" width={width} height={height}
      legend={panel.options.legend} options={panel.options} replaceVariables={(text) => text} />
  );
}

function Panel({ panel, data }) {
  const { x, y, w, h } = panel.gridPos;
  const size = { width: w * cell - 24, height: h * row - 44 };
  const Kind = { stat: Stat, bargauge: Bars, timeseries: Lines }[panel.type];
  const box = { position: 'absolute', left: x * cell + 8, top: y * row + 44, width: w * cell - 8, height: h * row - 8 };
  const text = { padding: '6px 8px', fontWeight: 500, fontSize: 13, whiteSpace: 'nowrap', overflow: 'hidden' };
  if (panel.type === 'row') return <div style={{ ...box, ...text, fontSize: 16 }}>{panel.title}</div>;
  return (
    <div style={{ ...box, background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}` }}>
      <div style={text}>{panel.title}</div>
      <div style={{ padding: '0 8px', position: 'relative' }}>
        {data.length > 0 ? <Kind panel={panel} data={data} {...size} /> : <div style={{ color: '#888' }}>No data</div>}
      </div>
    </div>
  );
}

const height = Math.max(...panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h)) * row + 52;
const style = { position: 'relative', width, height, color: theme.colors.text.primary, fontFamily: 'Inter, Roboto, Arial, sans-serif' };
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <div id="board" style={style}>
      <div style={{ padding: '10px 16px', fontSize: 18 }}>{title}</div>
      {panels.map((one) => <Panel key={one.panel.id} {...one} />)}
      <div id="drawn" />
    </div>
  </ThemeContext.Provider>,
);
