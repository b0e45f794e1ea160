package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn/internal/logdump"
)

func logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look into the files of a data directory"}
	c.AddCommand(logDumpCommand())
	needsSubcommand(c)
	return c
}

func logDumpCommand() *cobra.Command {
	var o logdump.Options
	c := &cobra.Command{
		Use:   "dump FILE|DIR...",
		Short: "Print segments, indexes, snapshots and checkpoints",
		Long: "Print the files of a partition: .log .index .timeindex .txnindex .snapshot and leader-epoch-checkpoint; of a folder, all\n" +
			"of them. The output is that of kafka-dump-log. Records of __consumer_offsets and __transaction_state are decoded.",
		Args: minArgs(1),
	}
	c.Flags().BoolVar(&o.Deep, "records", false, "print records, not only batches")
	c.Flags().BoolVar(&o.Contents, "contents", false, "print keys and values of records as well")
	c.Flags().BoolVar(&o.VerifyOnly, "verify", false, "of indexes, print only what is wrong with them")
	c.RunE = func(c *cobra.Command, args []string) error {
		files, err := dumpFiles(args)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(c.OutOrStdout())
		o.Epochs = true
		d := &logdump.Dumper{Out: out, Err: c.ErrOrStderr(), Options: o}
		for _, name := range files {
			d.Decode = decoderOf(name)
			if err := d.File(name); err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		err = out.Flush()
		d.Problems()
		return err
	}
	return c
}

// decoderOf picks the decoder of a file by the folder that it is in.
func decoderOf(name string) logdump.Decoder {
	folder, err := filepath.Abs(filepath.Dir(name))
	switch base := filepath.Base(folder); {
	case err != nil:
	case strings.HasPrefix(base, "__consumer_offsets-"):
		return logdump.Offsets
	case strings.HasPrefix(base, "__transaction_state-"):
		return logdump.Transactions
	}
	return logdump.Text
}

// dumpFiles puts the files of a folder in its place.
func dumpFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, &cliError{code: exitNotFound, err: err}
		case err != nil:
			return nil, err
		case !info.IsDir():
			files = append(files, arg)
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			switch filepath.Ext(e.Name()) {
			case ".log", ".index", ".timeindex", ".txnindex", ".snapshot":
				files = append(files, filepath.Join(arg, e.Name()))
			}
			if e.Name() == "leader-epoch-checkpoint" {
				files = append(files, filepath.Join(arg, e.Name()))
			}
		}
	}
	return files, nil
}
