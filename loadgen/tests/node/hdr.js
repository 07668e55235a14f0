// Reads an interval log with HdrHistogram's JavaScript tools; prints what is in it, per tag, and the
// percentile table that these tools make of the latency, as JSON.
const fs = require("node:fs");
const hdr = require("hdr-histogram-js");

const reader = new hdr.HistogramLogReader(fs.readFileSync(process.argv[2], "utf8"));
const tags = {};
let histogram;
while ((histogram = reader.nextIntervalHistogram()) !== null) {
  const tag = histogram.tag;
  tags[tag] ??= { intervals: 0, first: histogram.startTimeStampMsec, total: hdr.build({ bitBucketSize: 64, numberOfSignificantValueDigits: 3 }) };
  tags[tag].intervals += 1;
  tags[tag].last = histogram.startTimeStampMsec;
  tags[tag].total.add(histogram);
}
const result = {};
for (const [tag, { intervals, first, last, total }] of Object.entries(tags)) {
  result[tag] = {
    intervals, first, last,
    count: total.totalCount,
    max: total.maxValue,
    p50: total.getValueAtPercentile(50),
    p99: total.getValueAtPercentile(99),
  };
}
console.log(JSON.stringify({ tags: result, table: tags.latency.total.outputPercentileDistribution(5, 1e6) }));
