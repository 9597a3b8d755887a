// Evaluates JSONata with the reference implementation. One request a line on standard input, one answer a line on standard
// output:
//   {"compile": TEXT}                     → {"paths": [[variable, field, …], …], "plain": bool, "clock": bool} or {"error": TEXT}
//   [[INDEX, VARIABLES, NOW], …]          → [{"value": JSON} | {} | {"error": TEXT}, …]
// INDEX counts the expressions that were compiled. NOW is in milliseconds since 1970. {} stands for undefined.
const { readSync, writeSync } = require('node:fs')
const { StringDecoder } = require('node:string_decoder')
const jsonata = require(process.argv[2])

// Of the functions that Step Functions adds or replaces, none is modelled; $eval does not exist there:
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
const NOT_MODELLED = ['eval', 'partition', 'range', 'hash', 'random', 'uuid', 'parse']
const CLOCK = ['millis', 'now']

const expressions = []

// Where an expression reads variables: the fields that it names from each variable on, up to the first step that is not a name.
function analyse (ast) {
  const paths = []
  const locals = new Set()
  let clock = false
  const visit = (node) => {
    if (Array.isArray(node)) return node.forEach(visit)
    if (node === null || typeof node !== 'object') return
    if (node.type === 'lambda') node.arguments.forEach((argument) => locals.add(argument.value))
    if (node.type === 'bind') locals.add(node.lhs.value)
    if (node.type === 'function' || node.type === 'partial') {
      const name = node.procedure.value
      if (node.procedure.type === 'variable' && typeof name === 'string') {
        if (NOT_MODELLED.includes(name)) throw new Error(`the function $${name} is not modelled`)
        if (CLOCK.includes(name)) clock = true
      }
      visit(node.procedure.type === 'variable' ? [] : node.procedure)
      visit(node.arguments)
      return
    }
    if (node.type === 'path' && node.steps[0].type === 'variable') {
      const path = [node.steps[0].value]
      let index = 1
      if (!hasMore(node.steps[0])) {
        for (; index < node.steps.length && node.steps[index].type === 'name'; index++) {
          path.push(node.steps[index].value)
          if (hasMore(node.steps[index])) break
        }
      }
      paths.push(path)
      node.steps.forEach((step, at) => visit(at === 0 ? { ...step, type: 'read' } : step))
      return
    }
    if (node.type === 'variable') paths.push([node.value])
    if (node.type === 'variable' || node.type === 'read') node = { ...node, value: undefined }
    Object.values(node).forEach(visit)
  }
  visit(ast)
  const free = paths.filter(([name]) => !locals.has(name))
  for (const [name] of free) if (name === '' || name === '$') throw new Error('there is no context value')
  const isPlain = ast.type === 'variable' ? !hasMore(ast) : ast.type === 'path' && !ast.keepSingletonArray &&
    ast.steps[0].type === 'variable' && ast.steps.every((step, at) => !hasMore(step) && (at === 0 || step.type === 'name'))
  return { paths: free, plain: isPlain, clock }
}

// Whether a step filters, groups, sorts or binds.
function hasMore (step) {
  return ['predicate', 'stages', 'group', 'focus', 'index', 'ancestor', 'tuple', 'keepArray'].some((name) => step[name] !== undefined)
}

function compile (text) {
  try {
    const expression = jsonata(text)
    const analysis = analyse(expression.ast())
    expressions.push(expression)
    return analysis
  } catch (error) {
    return { error: error.message }
  }
}

async function evaluate ([index, variables, now]) {
  try {
    const clock = { millis: () => now, now: () => new Date(now).toISOString() }
    const value = await expressions[index].evaluate(undefined, { ...variables, ...clock })
    if (value === undefined) return {}
    if (typeof value === 'function' || value?._jsonata_function || value?._jsonata_lambda) return { error: 'the value is a function' }
    return { value }
  } catch (error) {
    return { error: error.message }
  }
}

async function main () {
  const buffer = Buffer.alloc(1 << 20)
  const decoder = new StringDecoder('utf8')
  let text = ''
  for (;;) {
    const length = readSync(0, buffer, 0, buffer.length, null)
    if (length === 0) return
    text += decoder.write(buffer.subarray(0, length))
    let end
    while ((end = text.indexOf('\n')) >= 0) {
      const request = JSON.parse(text.slice(0, end))
      text = text.slice(end + 1)
      let answer
      if (Array.isArray(request)) {
        answer = []
        for (const one of request) answer.push(await evaluate(one))
      } else {
        answer = compile(request.compile)
      }
      let line = Buffer.from(JSON.stringify(answer) + '\n')
      while (line.length > 0) line = line.subarray(writeSync(1, line))
    }
  }
}

main()
