// Judges a JSON file by a JSON schema; prints what is wrong with it, and nothing if nothing is.
const fs = require("node:fs");
const Ajv = require("ajv/dist/2020").default;

const [schema, file] = process.argv.slice(2).map((path) => JSON.parse(fs.readFileSync(path, "utf8")));
// Formats such as uint64 are Rust's; bounds stand beside them.
const validate = new Ajv({ strict: true, allErrors: true, validateFormats: false, allowUnionTypes: true }).compile(schema);
if (!validate(file)) console.log(JSON.stringify(validate.errors, null, 1));
