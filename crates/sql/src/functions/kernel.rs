//! A function over columns, as DataFusion calls it.

use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow_schema::DataType as ArrowType;
use datafusion_common::{DataFusionError, Result as DataFusionResult, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use thiserror::Error;

/// Why a row has no result. The text holds nothing of the row: it goes to logs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub(crate) struct RowError(pub(crate) Cow<'static, str>);

impl From<&'static str> for RowError {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for RowError {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// The result on a column: as many values as [`Args::rows`].
pub(crate) type KernelResult = Result<ArrayRef, RowError>;

type Run = dyn Fn(&Args) -> KernelResult + Send + Sync;

/// A function whose fixed arguments (patterns, paths, types) are already part of it.
#[derive(Clone)]
struct Kernel {
    name: &'static str,
    signature: Signature,
    return_type: ArrowType,
    run: Arc<Run>,
}

/// Makes a function of `run`, for an expression that gives `return_type`.
pub(crate) fn udf(
    name: &'static str,
    return_type: ArrowType,
    run: impl Fn(&Args) -> KernelResult + Send + Sync + 'static,
) -> ScalarUDF {
    let signature = Signature::variadic_any(Volatility::Immutable);
    ScalarUDF::from(Kernel { name, signature, return_type, run: Arc::new(run) })
}

impl Debug for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("name", &self.name).field("return_type", &self.return_type).finish()
    }
}

/// Two kernels are the same only when they are one: their fixed arguments are inside the closure.
impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.run, &other.run)
    }
}

impl Eq for Kernel {}

impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(self.return_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let args = Args::new(&args.args, if constant { 1 } else { args.number_rows })?;
        let result = (self.run)(&args).map_err(|e| DataFusionError::External(Box::new(e)))?;
        if constant {
            return ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The arguments of a call, read by row. An argument that is the same for every row is held once.
#[derive(Debug)]
pub(crate) struct Args {
    columns: Vec<(ArrayRef, bool)>,
    rows: usize,
}

impl Args {
    pub(crate) fn new(values: &[ColumnarValue], rows: usize) -> DataFusionResult<Self> {
        let column = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => Ok((Arc::clone(array), false)),
            ColumnarValue::Scalar(scalar) => Ok((scalar.to_array()?, true)),
        };
        Ok(Self { columns: values.iter().map(column).collect::<DataFusionResult<_>>()?, rows })
    }

    /// How many results are wanted.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// An argument as a whole column, of one value when it is the same for every row.
    pub(crate) fn array(&self, arg: usize) -> Column<'_, ArrayRef> {
        let (array, constant) = &self.columns[arg];
        Column { array, constant: *constant }
    }

    pub(crate) fn strings(&self, arg: usize) -> Column<'_, StringArray> {
        self.column(arg, AsArray::as_string::<i32>)
    }

    pub(crate) fn booleans(&self, arg: usize) -> Column<'_, BooleanArray> {
        self.column(arg, AsArray::as_boolean)
    }

    pub(crate) fn numbers<T: ArrowPrimitiveType>(&self, arg: usize) -> Column<'_, PrimitiveArray<T>> {
        self.column(arg, AsArray::as_primitive::<T>)
    }

    /// Binding has checked the type, so the downcast cannot fail.
    fn column<'a, A>(&'a self, arg: usize, cast: impl Fn(&'a dyn Array) -> &'a A) -> Column<'a, A> {
        let (array, constant) = &self.columns[arg];
        Column { array: cast(array.as_ref()), constant: *constant }
    }

    pub(crate) fn to_strings<S: AsRef<str>>(
        &self,
        row: impl FnMut(usize) -> Result<Option<S>, RowError>,
    ) -> KernelResult {
        strings(self.rows, row)
    }

    pub(crate) fn to_booleans(&self, row: impl FnMut(usize) -> Result<Option<bool>, RowError>) -> KernelResult {
        booleans(self.rows, row)
    }

    pub(crate) fn to_numbers<T: ArrowPrimitiveType>(
        &self,
        data_type: &ArrowType,
        row: impl FnMut(usize) -> Result<Option<T::Native>, RowError>,
    ) -> KernelResult {
        numbers::<T>(self.rows, data_type, row)
    }
}

/// A text for each row, `None` for NULL.
pub(crate) fn strings<S: AsRef<str>>(
    rows: usize,
    mut row: impl FnMut(usize) -> Result<Option<S>, RowError>,
) -> KernelResult {
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    for i in 0..rows {
        builder.append_option(row(i)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// Bytes for each row.
pub(crate) fn bytes<S: AsRef<[u8]>>(
    rows: usize,
    mut row: impl FnMut(usize) -> Result<Option<S>, RowError>,
) -> KernelResult {
    let mut builder = BinaryBuilder::with_capacity(rows, rows * 16);
    for i in 0..rows {
        builder.append_option(row(i)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// A truth value for each row.
pub(crate) fn booleans(rows: usize, mut row: impl FnMut(usize) -> Result<Option<bool>, RowError>) -> KernelResult {
    let mut builder = BooleanBuilder::with_capacity(rows);
    for i in 0..rows {
        builder.append_option(row(i)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// A number, or what Arrow keeps as one, for each row; `data_type` says its unit, zone or scale.
pub(crate) fn numbers<T: ArrowPrimitiveType>(
    rows: usize,
    data_type: &ArrowType,
    mut row: impl FnMut(usize) -> Result<Option<T::Native>, RowError>,
) -> KernelResult {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(rows).with_data_type(data_type.clone());
    for i in 0..rows {
        builder.append_option(row(i)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// One argument, read by row.
#[derive(Debug)]
pub(crate) struct Column<'a, A> {
    pub(crate) array: &'a A,
    constant: bool,
}

impl<A> Clone for Column<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Column<'_, A> {}

impl<A: Array> Column<'_, A> {
    /// The place of a row's value in `array`, `None` for NULL.
    pub(crate) fn index(&self, row: usize) -> Option<usize> {
        let index = if self.constant { 0 } else { row };
        self.array.is_valid(index).then_some(index)
    }
}

impl<'a> Column<'a, StringArray> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        self.index(row).map(|i| self.array.value(i))
    }
}

impl Column<'_, BooleanArray> {
    pub(crate) fn get(&self, row: usize) -> Option<bool> {
        self.index(row).map(|i| self.array.value(i))
    }
}

impl<T: ArrowPrimitiveType> Column<'_, PrimitiveArray<T>> {
    pub(crate) fn get(&self, row: usize) -> Option<T::Native> {
        self.index(row).map(|i| self.array.value(i))
    }
}
