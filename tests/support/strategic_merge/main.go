// Command strategicmerge reads cases from standard input, one JSON object a line with "target" and "patch" (pods),
// and writes each with what Kubernetes makes of it: "merged", or "refused" with its error.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

type mergeCase struct {
	Target  json.RawMessage `json:"target"`
	Patch   json.RawMessage `json:"patch"`
	Merged  json.RawMessage `json:"merged,omitempty"`
	Refused string          `json:"refused,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		if err := encoder.Encode(merged(lines.Bytes())); err != nil {
			fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func merged(line []byte) mergeCase {
	var each mergeCase
	if err := json.Unmarshal(line, &each); err != nil {
		fail(err)
	}
	result, err := strategicpatch.StrategicMergePatch(each.Target, each.Patch, corev1.Pod{})
	if err != nil {
		each.Refused = err.Error()
	} else {
		each.Merged = result
	}
	return each
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
