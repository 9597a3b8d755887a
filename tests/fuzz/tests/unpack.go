// Unpacks each archive that standard input names into a folder beside it.
package main

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	archives := bufio.NewScanner(os.Stdin)
	for archives.Scan() {
		if err := unpack(archives.Text(), archives.Text()+".go"); err != nil {
			fmt.Printf("%s: go: %v\n", archives.Text(), err)
		}
	}
}

func unpack(archive, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	for _, file := range reader.File {
		path := filepath.Join(folder, file.Name)
		if strings.HasSuffix(file.Name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data, err := file.Open()
		if err != nil {
			return err
		}
		unpacked, err := io.ReadAll(data)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, unpacked, 0o644); err != nil {
			return err
		}
	}
	return nil
}
